"""Every exception that a user can cause, in one tree.

    RelapseError                        exit status 1
    ├── DeclarationError                exit status 2   a cohort declaration or params.yaml is not valid
    ├── SourceError                     exit status 2   a data source is missing, empty or not the table declared
    │   └── ImageError              exit status 2   one patient's images cannot be used; the others go on
    ├── PredictionsError                exit status 2   a predictions table cannot be evaluated
    ├── GateError                       exit status 1   the data break a rule of the declaration
    ├── TrainingError                   exit status 1   no candidate could be trained
    │   └── NoTrialError            exit status 1   one candidate cannot be trained; the others go on
    ├── RegistryError                   exit status 1   MLflow's record and the request do not fit together
    ├── BundleError                     exit status 1   a bundle is incomplete, altered, or of another version
    ├── BackupError                     exit status 1   an archive of a project is damaged, or may not be put back here
    ├── WorkersError                    exit status 1   a process that work was shared out to was ended from outside
    ├── OutsideError                    exit status 1   a disk, a folder or a server failed while a worker needed it
    ├── ServingError                    exit status 2   the service may not start as it is set up
    ├── DeploymentError                 exit status 1   a new version cannot take over, or was rolled back
    └── AuditLogError                   exit status 1   the audit log is broken, or cannot be written

A message says what was found, where (file, column, row), what is allowed, and what to do. It never holds a patient's
value: messages end up in logs. The command line prints it as it stands, without a traceback, and ends with the
status above: 2 where the request or its input file has to be changed, 1 where the request was understood and failed.
"""

from typing import ClassVar


class RelapseError(Exception):
    """Base of all errors whose message is meant for the user."""

    exit_status: ClassVar[int] = 1


class DeclarationError(RelapseError):
    """A cohort declaration or ``params.yaml`` is not valid; the message names file, key, and what is allowed."""

    exit_status = 2


class SourceError(RelapseError):
    """A data source is missing, unreadable, empty, or lacks a declared column."""

    exit_status = 2


class ImageError(SourceError):
    """The images of one patient cannot be used; ``code`` names the kind of fault, as ``relapse.imaging.faults`` has it.

    The message names no patient: who it was stands beside it, where it is kept.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)  # both, so that it comes whole out of a worker
        self.code = code

    def __str__(self) -> str:
        return str(self.args[1])


class PredictionsError(RelapseError):
    """A predictions table lacks a column, holds an impossible value, or does not pair with another one."""

    exit_status = 2


class GateError(RelapseError):
    """The data break a rule of their declaration; the message names column, rule, row count and first row numbers."""


class TrainingError(RelapseError):
    """No candidate could be trained, or a fold cannot be formed."""


class NoTrialError(TrainingError):
    """Every trial of a candidate failed, or none can be begun; the other candidates go on."""


class RegistryError(RelapseError):
    """The model registry does not hold what was asked for, or holds something that this project did not write."""


class BundleError(RelapseError):
    """A bundle is incomplete, altered, or written by an incompatible version."""


class BackupError(RelapseError):
    """An archive of a project cannot be written, is damaged, or would overwrite what is here."""


class WorkersError(RelapseError):
    """A process that work was shared out to was ended from outside."""


class OutsideError(RelapseError):
    """A disk, a folder or a server failed while a worker needed it; the message is :func:`.outside.outside`'s."""


class ServingError(RelapseError):
    """The service may not start as it is set up; the message names the setting."""

    exit_status = 2


class DeploymentError(RelapseError):
    """A new version cannot take over from the one that is served; what was served goes on being served."""


class AuditLogError(RelapseError):
    """The audit log was altered or cut, or cannot be written; the message names the line."""
