"""Files of prompts: three forms, and one sentence for each that holds none."""

from __future__ import annotations

import pytest

from yunti.data.prompts import read_prompts
from yunti.errors import InputError

GOOD = {
    "a.txt": ("To be\r\n\n  or not\n", ["To be", "  or not"]),
    "a.jsonl": ('{"prompt": "To be", "n": 1}\n\n{"prompt": ""}\n', ["To be", ""]),
    "a.csv": ('n,prompt\n1,"To be,\nor"\n2,not\n', ["To be,\nor", "not"]),
    "b.csv": ("n,words\n1,To be\n2,not\n", ["To be", "not"]),
    "c.csv": ("n,prompt\n1,To be\n2,\n3,not\n", ["To be", "", "not"]),
    "c.txt": ("你好\n", ["你好"]),
}
BAD = {
    "a.xlsx": ("x", "a.xlsx: the ending of a file of prompts must name a form, but '.xlsx' does not; choose one of"),
    "empty.txt": ("", "empty.txt"),
    "blank.txt": ("\n\n", "it must hold prompts, but there is none; write one a line"),
    "none.jsonl": ('{"prompt": "a"}\n{"text": "b"}\n', 'line 2: it must hold "prompt" with a text, but there is text'),
    "list.jsonl": ("[1]\n", 'line 1: it must hold "prompt" with a text, but there is no object'),
    "broken.jsonl": ('{"prompt": \n', "line 1: it must be JSON, but it is not; write one object a line"),
    "two.csv": ("a,b\nx,y\n", "it must have a column 'prompt', or only one of texts, but there are a, b; name the"),
    "open.csv": ('a,b\nx,"y\n', "it must be CSV, but unexpected end of data"),
}


@pytest.mark.parametrize("name", GOOD)
def test_prompts_are_read(name, tmp_path):
    content, prompts = GOOD[name]
    (tmp_path / name).write_bytes(content.encode())
    assert read_prompts(str(tmp_path / name)) == prompts


def test_prompts_may_be_in_another_encoding(tmp_path):
    (tmp_path / "a.txt").write_bytes("你好，世界，我们在这里。\n今天天气很好，我们去公园。\n".encode("gb18030"))
    assert read_prompts(str(tmp_path / "a.txt"))[0] == "你好，世界，我们在这里。"


@pytest.mark.parametrize("name", BAD)
def test_what_holds_no_prompts_is_told_in_one_sentence(name, tmp_path):
    content, told = BAD[name]
    (tmp_path / name).write_bytes(content.encode())
    with pytest.raises(InputError) as caught:
        read_prompts(str(tmp_path / name))
    assert told in str(caught.value)
