"""What a step came to, held to what the scenario wants of it; whose fault it is where that differs."""

from __future__ import annotations

import difflib

from harness.actions import FieldType
from harness.errors import DriverFault, GuestError
from harness.guests.base import ActionResult
from harness.scenario.model import ActorStep
from harness.toolchain.windows_errors import win32_words

__all__ = ["note_of_answer", "require_answer"]

_FILE_NOT_FOUND = 2
_ACCESS_DENIED = 5
_LAUNCHES = ("launch", "launch_for")
"""What a program that a driver's callback refused usually fails to start with."""
_IO_PENDING = 997
"""What an overlapped request ends with that is not completed yet."""
_MAX_PROGRAMS = 2000
"""Characters of the guest's list of programs that are read."""
_SHOWN = 64
"""Bytes of an answer that a message shows."""


def require_answer(step: ActorStep, result: ActionResult, what: str) -> None:
    """Raises unless the action ended as the step says.

    What a driver answers is its own doing, as is what it should have refused and did not; everything else is
    the rig's.

    :param what: the step, for messages.
    """
    wanted = _IO_PENDING if _is_left_pending(step) and not step.status else step.status
    if result.status != wanted:
        _refuse_status(step, result, wanted, what)
    if (returned := step.answer.returned) is not None and result.values.get("returned") != returned:
        raise DriverFault(
            f"{what}: the driver returned {result.values.get('returned', 0)} bytes; the step wants {returned}"
        )
    _require_exit_code(step, result, what)
    if (output := step.answer.output) is not None:
        data = _output(result, what)
        if not output.fits(data):
            raise DriverFault(
                f"{what}: the driver answered {_shown(data)}; the step wants {len(output.data)} bytes"
                f" {str(output)[: 3 * _SHOWN]}".rstrip()
            )


def _require_exit_code(step: ActorStep, result: ActionResult, what: str) -> None:
    """A program that tests the driver says by its exit code what it found."""
    if "code" not in step.action.answer or result.status:
        return
    code = result.values.get("exit_code")
    if code is None and step.answer.code is not None:
        raise GuestError(
            f"{what}: the virtual target executes no program, so there is no exit code",
            hint="leave 'code' out, or run it on a real machine: --machine",
        )
    if code is not None and code != (step.answer.code or 0):
        raise DriverFault(f"{what}: it ended with exit code {code}; the step wants {step.answer.code or 0}")


def note_of_answer(step: ActorStep, result: ActionResult, what: str) -> str:
    """What an answer that is as the step says leaves open; empty: nothing.

    :param what: the step, for messages.
    """
    if "code" not in step.action.answer or result.status or "exit_code" in result.values:
        return ""
    return f"{what}: the program was started and not executed, so what it would have found is not known"


def _refuse_status(step: ActorStep, result: ActionResult, wanted: int, what: str) -> None:
    status = result.status
    words = f"; the step wants {win32_words(wanted)}" if wanted else ""
    if step.action.asks_driver:
        ended = "succeeded" if status == 0 else f"ended with {win32_words(status)}"
        raise DriverFault(f"{what} {ended}{words}", hint=_device_hint(step, status))
    if status == 0:
        raise DriverFault(f"{what} succeeded{words}", hint="what should have refused it did not")
    refused = step.action.key in _LAUNCHES and status == _ACCESS_DENIED and not words
    hint = f"where a driver is to refuse it, write status: {status} in the step" if refused else ""
    if step.action.key in _LAUNCHES and status == _FILE_NOT_FOUND:
        hint = _programs_hint(step, result)
    raise GuestError(f"{what} did not happen: {win32_words(status)}{words}", hint=hint)


def _programs_hint(step: ActorStep, result: ActionResult) -> str:
    """What there is instead of a program that the guest has not."""
    own = "a program of your own is put there by a step run: {file: my.exe}"
    known = str(result.values.get("programs", ""))[:_MAX_PROGRAMS].split()
    if not known:
        return own
    (wanted,) = step.values_of(FieldType.PROGRAM)
    near = difflib.get_close_matches(str(wanted).casefold(), known, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"{meant}the guest has {', '.join(known)}; {own}"


def _device_hint(step: ActorStep, status: int) -> str:
    if step.action.key == "open_device" and status == _FILE_NOT_FOUND:
        return r"does the driver make a symbolic link \DosDevices\NAME for what is opened as \\.\NAME?"
    if status == 0:
        return ""
    return f"where the driver is to end it so, write status: {status} in the step"


def _is_left_pending(step: ActorStep) -> bool:
    fields = zip(step.action.fields, step.values, strict=True)
    return any(field.name == "pending" and value for field, value in fields)


def _output(result: ActionResult, what: str) -> bytes:
    """The bytes in the helper's answer, which is not trusted."""
    text = result.values.get("output", "")
    try:
        return bytes.fromhex(str(text))
    except ValueError:
        raise GuestError(
            f"{what}: the guest helper answered with bytes that are not hexadecimal: {text!r:.80}"
        ) from None


def _shown(data: bytes) -> str:
    more = " ..." if len(data) > _SHOWN else ""
    return f"{len(data)} bytes {data[:_SHOWN].hex(' ')}{more}".rstrip()
