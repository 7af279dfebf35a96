"""A conversation in this process: turns are remembered, and answers are those of `model/complete.py` for the same text."""

from pathlib import Path

import pytest
import servers

from starmill.core.errors import InputError, UsageError
from starmill.model.complete import complete
from starmill.serving import prompts
from starmill.serving.talk import Talk


def test_a_base_model_is_asked_as_an_assistant(tmp_path: Path) -> None:
    talk = Talk(str(servers.write(tmp_path)), "Be brief.")
    pieces = [*talk.reply("What is é?", 24)]
    assert len(pieces) > 3
    said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is é?"}]
    for turn in range(2):
        text = prompts._assistant(said)
        stops = prompts.ASSISTANT_STOPS
        [wanted] = complete(talk.decoder, talk.found.tokenizer, [text], 24, stops=stops, names=["x"])
        got = "".join(pieces if not turn else talk.reply("And 漢?", 24))
        assert got == wanted
        said += [{"role": "assistant", "content": got.strip()}]
        assert talk.said == said
        said += [{"role": "user", "content": "And 漢?"}]


def test_what_is_stopped_is_not_remembered(tmp_path: Path) -> None:
    talk = Talk(str(servers.write(tmp_path)))
    answer = talk.reply("x", 24)
    next(answer)
    answer.close()
    assert talk.said == []
    with pytest.raises(UsageError, match="begin another one"):
        next(talk.reply("x " * 5_000, 4))


def test_a_template_is_asked_by(tmp_path: Path) -> None:
    folder = servers.write(tmp_path)
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ raise_exception('no') if m.role == 'system' }}<{{ m.content }}>{% endfor %}"
    )
    talk = Talk(str(folder))
    [wanted] = complete(talk.decoder, talk.found.tokenizer, ["<hi>"], 12, names=["x"], file_start=False)
    assert "".join(talk.reply("hi", 12)) == wanted
    with pytest.raises(InputError, match="refuses it"):
        next(Talk(str(folder), "Be brief.").reply("hi", 4))
    with pytest.raises(InputError):
        Talk(str(tmp_path / "none"))
