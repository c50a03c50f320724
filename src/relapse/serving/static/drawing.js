"use strict";
// Figures as SVG. Positions are attributes and colours are classes: the page's policy allows no inline style.

const SVG = "http://www.w3.org/2000/svg";

function shape(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function picture(width, height, label, kind) {
  return shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label, class: kind });
}

/** A hundred people, `hits` of them marked. */
function people(hits, label) {
  const drawn = picture(240, 240, label, "people");
  for (let at = 0; at < 100; at += 1) {
    const x = 12 + 24 * (at % 10);
    const y = 12 + 24 * Math.floor(at / 10);
    const person = shape("g", { class: at < hits ? "person hit" : "person" });
    person.append(shape("circle", { cx: x, cy: y - 6, r: 4 }));
    person.append(shape("path", { d: `M${x - 6} ${y + 9}v-5a6 6 0 0 1 12 0v5z` }));
    drawn.append(person);
  }
  return drawn;
}

/** The share free of relapse over time; `marks` are [label, time]. */
function relapseFree(curve, marks, label) {
  const [width, height, left, top, bottom] = [420, 230, 44, 12, 36];
  const drawn = picture(width, height, label, "relapse-free");
  const last = curve.times[curve.times.length - 1];
  const x = (time) => left + ((width - left - 28) * time) / last;
  const y = (share) => top + (height - top - bottom) * (1 - share);
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    drawn.append(shape("path", { class: "grid", d: `M${left} ${y(share)}H${width - 28}` }));
    drawn.append(shape("text", { x: left - 6, y: y(share) + 4, "text-anchor": "end" }, `${100 * share}%`));
  }
  drawn.append(shape("path", { class: "axis", d: `M${left} ${top}V${y(0)}H${width - 28}` }));
  for (const [text, time] of [["0", 0], ...marks]) {
    drawn.append(shape("path", { class: "axis", d: `M${x(time)} ${y(0)}v5` }));
    drawn.append(shape("text", { x: x(time), y: y(0) + 20, "text-anchor": "middle" }, text));
  }
  let line = `M${x(curve.times[0])} ${y(curve.event_free[0])}`;
  curve.times.forEach((time, at) => { line += `H${x(time)}V${y(curve.event_free[at])}`; });
  drawn.append(shape("path", { class: "curve", d: line }));
  return drawn;
}

/** One step of a waterfall, from `start` to `end`, where all steps lie between `low` and `high`. */
function step(start, end, low, high) {
  const drawn = shape("svg", { viewBox: "0 0 200 18", "aria-hidden": "true" });
  const x = (value) => 2 + (196 * (value - low)) / (high - low || 1);
  const from = Math.min(x(start), x(end));
  drawn.append(shape("path", { class: "grid", d: `M${x(start)} 0v18` }));
  const width = Math.max(1.5, Math.abs(x(end) - x(start)));
  drawn.append(shape("rect", { class: end >= start ? "bar up" : "bar down", x: from, y: 3, width, height: 12 }));
  return drawn;
}
