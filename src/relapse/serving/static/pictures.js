"use strict";
// The picture of a block of images: volumes go to the service, which gives back what the model looks at, and keeps nothing.
// Here it is kept in this variable alone, until the form is cleared or another file is chosen.
// Pictures are shown from blob: addresses, which only a script of this page can make, of what it holds already.

/** The patient's field that the picture goes into. */
const PICTURE = "image";

let taken = null;
let making = null;

const pictureBlock = () => asked.blocks.find((block) => block.features.includes(PICTURE));
const picturePiece = (part) => find(`picture-${part}`);

/** What stands in the block of images: a file for each phase and the mask, a button, what came of it. */
function picturePart(block) {
  const names = [...asked.phases.map(phaseName), "Mask of the tumour"];
  const inputs = names.map((name, at) => {
    const input = make("input", { id: `picture-file-${at}`, type: "file", accept: ".nii,.gz,.zip" });
    input.setAttribute("aria-describedby", "picture-hint picture-error");
    input.setAttribute("aria-required", String(!block.optional));
    input.addEventListener("change", () => dropPicture(input.files.length ? "" : "A file was taken out."));
    return make("div", {}, make("label", { htmlFor: input.id }, name), input);
  });
  const error = make("p", { id: "picture-error", className: "error" });
  error.setAttribute("role", "alert");
  const status = make("p", { id: "picture-status", className: "status" });
  status.setAttribute("role", "status");
  const button = make("button", { id: "picture-make", type: "button", className: "quiet" }, "Make the picture");
  button.addEventListener("click", makePicture);
  return make(
    "div",
    { className: "picture" },
    make("p", { id: "picture-hint", className: "hint" }, "Each NIfTI (.nii, .nii.gz), or a zip of the DICOM slices of one "
      + "series. The service makes the picture of them that the model looks at, and keeps none of them."),
    make("div", { className: "fields" }, ...inputs),
    error,
    make("div", { className: "actions" }, button),
    status,
    make("figure", { id: "picture-shown", hidden: true }),
  );
}

function phaseName(phase) {
  if (phase === "0") return "Phase before contrast";
  return phase === "last" ? "Last phase after contrast" : `Phase ${phase} after contrast`;
}

const pictureInputs = () => [...document.querySelectorAll("[id^=picture-file-]")];

/** Send the volumes, and show what comes back. */
async function makePicture() {
  if (making) return;
  dropPicture("");
  const inputs = pictureInputs();
  const empty = inputs.filter((input) => !input.files.length);
  if (empty.length) {
    const names = empty.map((input) => find("patient").querySelector(`label[for=${input.id}]`).textContent);
    complainOfPicture(`Please choose a file: ${names.join(", ")}.`, empty);
    empty[0].focus();
    return;
  }
  const form = new FormData();
  // Under names of ours: what a file is called may name the patient.
  inputs.forEach((input, at) => form.append(at < inputs.length - 1 ? "phase" : "mask", input.files[0], `file-${at}`));
  const mine = new AbortController();
  making = mine;
  picturePiece("make").setAttribute("aria-disabled", "true");
  picturePiece("status").textContent = "Making the picture …";
  try {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const response = await fetch("picture", { method: "POST", headers, body: form, signal: mine.signal });
    const answer = await response.json();
    if (mine.signal.aborted) return;
    if (response.ok) showPicture(answer);
    else refusePicture(answer.errors.map((problem) => problem.message).join(" "));
  } catch {
    if (mine.signal.aborted) return;
    refusePicture("The service took no volumes: they may be too large, or the connection broke. Try again.");
  } finally {
    if (making === mine) endMaking();
  }
}

function endMaking() {
  making = null;
  picturePiece("make").removeAttribute("aria-disabled");
}

function showPicture(answer) {
  taken = answer.image;
  const count = answer.width.length;
  const sides = answer.width.map((side) => side.toFixed(1)).join(", ");
  const width = count > 1 ? `${count} slices side by side, ${sides} mm wide` : `${sides} mm wide`;
  const shown = picturePiece("shown");
  const alt = "The tumour as the model looks at it, with the outline of the mask.";
  shown.replaceChildren(drawnPicture(answer.preview, alt), make("figcaption", {}, `What the model looks at, ${width}. Does the outline sit on the tumour?`));
  shown.hidden = false;
  complainOf(pictureBlock(), "");
  picturePiece("status").textContent = "The picture is made.";
}

function refusePicture(text) {
  picturePiece("status").textContent = "";
  complainOfPicture(text, []);
}

/** Say what is wrong with the picture; `inputs` are the ones to be mended. */
function complainOfPicture(text, inputs) {
  picturePiece("error").textContent = text;
  for (const input of pictureInputs()) {
    if (inputs.includes(input)) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
}

/** Forget the picture, and whatever is being made of it. */
function dropPicture(said) {
  if (making) {
    making.abort();
    endMaking();
  }
  const shown = picturePiece("shown");
  const had = Boolean(taken);
  taken = null;
  release(shown);
  shown.replaceChildren();
  shown.hidden = true;
  complainOfPicture("", []);
  picturePiece("status").textContent = had ? `${said} Make the picture again.`.trim() : "";
}

/** The block's picture as it was at first: none. */
function resetPicture() {
  if (!pictureBlock()) return;
  dropPicture("");
  picturePiece("status").textContent = "";
}

/** A PNG file in base64 as an image. */
function drawnPicture(base64, alt) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const image = make("img", { alt });
  image.src = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
  return image;
}

/** Give back the memory of the images within a part of the page. */
function release(part) {
  for (const image of part.querySelectorAll("img")) URL.revokeObjectURL(image.src);
}

/** Where in the picture the model sees a higher risk; nothing where it looked at none. */
function attention(reasons) {
  if (!reasons.attention) return [];
  const alt = "The same picture with the places painted over that raise the model’s output; the brighter, the more.";
  const caption = "Painted places raise what the model makes of the picture, bright ones most (Grad-CAM); unpainted ones "
    + "do not. This shows what the model uses, not where disease is.";
  return [
    make("h3", {}, "Where the model sees a higher risk"),
    make("figure", { id: "attention" }, drawnPicture(reasons.attention, alt), make("figcaption", {}, caption)),
  ];
}
