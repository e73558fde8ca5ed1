"""The command line: each verb is a function in a file of its name, its signature is its options.

Nothing heavy is imported here: ``monobody --help`` must answer at once. What goes wrong by the user's hand is one
sentence on stderr and exit code 2; exit code 1 means that a part of the work could not be done, 141 that whoever read
the output has closed it.
"""

import os
import sys
from collections.abc import Sequence

import tyro

from monobody.cli.about import body, doctor, models
from monobody.cli.evaluate import evaluate
from monobody.cli.exits import INTERRUPTED, OK, REFUSED, UNREAD
from monobody.cli.export import export
from monobody.cli.export_onnx import export_onnx
from monobody.cli.fit import fit
from monobody.cli.predict import predict
from monobody.cli.prepare import prepare
from monobody.cli.serve import serve
from monobody.cli.synthesize import synthesize
from monobody.cli.train import train
from monobody.cli.view import view
from monobody.errors import Interrupted, UserError

VERBS = {
    verb.__name__.replace("_", "-"): verb
    for verb in (
        *(predict, fit, export, export_onnx, view, serve, synthesize, prepare),
        *(train, evaluate, body, models, doctor),
    )
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments in (["--version"], ["-V"]):
        from monobody import __version__

        print(f"monobody {__version__}")
        return OK
    try:
        code = tyro.extras.subcommand_cli_from_dict(
            VERBS,
            prog="monobody",
            description="3D people from a single picture.",
            args=arguments or ["--help"],
            config=(tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone),
        )
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        return UNREAD
    except UserError as error:
        _say(error)
        return REFUSED
    except KeyboardInterrupt as error:
        _say(error if error.args else Interrupted("interrupted; what was finished is kept."))
        return INTERRUPTED


def _nobody_reads() -> bool:
    """Tell whether we print into a closed pipe, as after `| head`; if so, drop what is still to be printed."""
    import select

    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    closed = any(event & select.POLLERR for _, event in poll.poll(0))
    if closed:
        # Else Python would try once more, and complain, when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return closed


def _say(error: BaseException) -> None:
    """Print a sentence, or leave it to the process that launched this one."""
    if "monobody.train.launch" in sys.modules:
        from monobody.train.launch import leave_sentence

        if leave_sentence(error):
            return
    print(f"monobody: {error}", file=sys.stderr)
