"""The command line says what it waits for, on the stream that no program reads."""

from __future__ import annotations

import pytest

from plimsoll.cli import main
from plimsoll.waits import tell_waits, waiting_for


def test_a_wait_is_told_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    main._tell_wait("waiting for the\x1b[31m end of namespace shop")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("waiting for the")
    assert "\x1b" not in printed.err


def test_every_verb_listens_to_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bool] = []

    def verb(**_: object) -> int:
        with waiting_for("an answer"):
            heard.append(bool(_listeners()))
        return 0

    monkeypatch.setattr(main.plimsoll, "main", verb)
    monkeypatch.setattr(main, "tell_waits", lambda tell: tell_waits(tell, first=60))
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 0
    assert heard == [True]
    assert _listeners() == []


def _listeners() -> list[object]:
    from plimsoll import waits

    return list(waits._listeners)
