"""XML from strangers: nothing is expanded or fetched, whatever encoding it hides in; damage is named by line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorque.errors import FileFormatError
from motorque.files import xml
from motorque.files.xml import boolean, children, numbers, objects, parse_xml, text, where

PLAIN = '<?xml version="1.0" encoding="UTF-8"?>\n<Model name="m"><n>1 2 3</n></Model>'
LEVELS = "".join(f'<!ENTITY e{i} "{"&e" + str(i - 1) + ";" if i else "ha"}{"&e" + str(i - 1) + ";" if i else "ha"}">'
                 for i in range(30))  # fmt: skip
BOMB = f"<!DOCTYPE a [{LEVELS}]><Model>&e29;</Model>"
BOMB_IN_ATTRIBUTE = f'<!DOCTYPE a [{LEVELS}]><Model name="&e29;"/>'
FETCH = '<!DOCTYPE a [<!ENTITY b SYSTEM "{address}">]><Model>&b;</Model>'


def written(folder: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path = folder / "m.osim"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7"])
@pytest.mark.parametrize(
    "content",
    [
        BOMB,
        BOMB_IN_ATTRIBUTE,
        FETCH.format(address="file:///etc/hostname"),
        '<!DOCTYPE Model SYSTEM "http://localhost:9/a.dtd"><Model/>',
        "<!DOCTYPE Model><Model/>",
        "<!doctype Model><Model/>",
    ],
    ids=["bomb", "bomb in an attribute", "file", "network", "bare", "small letters"],
)
def test_a_document_type_is_refused_in_every_encoding(tmp_path: Path, content: str, encoding: str) -> None:
    declared = encoding.removesuffix("-sig").removesuffix("-le").removesuffix("-be").upper()
    if encoding == "utf-7":
        # Python leaves < and ! alone, which the byte check would see: hide them as the encoding allows.
        head = b'<?xml version="1.0" encoding="UTF-7"?>'
        data = head + content.encode("utf-7").replace(b"<!", b"+ADwAIQ-").replace(b"+ACEAPA", b"+ADw")
    else:
        data = f'<?xml version="1.0" encoding="{declared}"?>{content}'.encode(encoding)
    path = written(tmp_path, data)
    with pytest.raises(FileFormatError) as caught:
        parse_xml(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    if encoding != "utf-7":  # there the parser itself may be the first to refuse
        assert "remove the <!DOCTYPE" in str(caught.value)


def test_utf_7_does_hide_a_declaration_from_the_bytes(tmp_path: Path) -> None:
    path = written(tmp_path, b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE Model><Model/>')
    assert b"<!" not in path.read_bytes()
    with pytest.raises(FileFormatError, match="remove the <!DOCTYPE"):
        parse_xml(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "iso-8859-1", "windows-1252"])
@pytest.mark.parametrize("quote", ['"', "'"])
def test_honest_encodings(tmp_path: Path, encoding: str, quote: str) -> None:
    declared = encoding.removesuffix("-sig").removesuffix("-le")
    content = f"<?xml version={quote}1.0{quote} encoding={quote}{declared}{quote}?><Model name='Zürich µ'/>"
    assert parse_xml(written(tmp_path, content, encoding)).getroot().get("name") == "Zürich µ"


@pytest.mark.parametrize(
    "head", ['<?xml version="1.0" encoding="UTF-8" ?>\n', "<?xml version='1.0' encoding='utf-8'?>", ""]
)
def test_windows_characters_in_a_file_that_says_utf_8(tmp_path: Path, head: str) -> None:
    path = written(tmp_path, head + '<Model name="Müller’s – 50 µm"/>', "cp1252")
    assert parse_xml(path).getroot().get("name") == "Müller’s – 50 µm"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        (" \r\n\t", "the file is empty"),
        (PLAIN[:-8], "not well-formed XML at line 2: .*may be cut off"),
        (PLAIN[:60], "not well-formed XML at line 2: .*may be cut off"),
        (PLAIN + PLAIN[39:], "not well-formed XML at line 2"),
        ("not XML", "not well-formed XML at line 1"),
        ('<?xml version="1.0" encoding="nonsense"?><Model/>', "not well-formed XML at line 1: .*encoding"),
        (PLAIN.replace("1 2 3", "&nbsp;"), "not well-formed XML at line 2: .*nbsp"),
        ("<a>" * 1000 + "</a>" * 1000, "not well-formed XML at line 1: .*depth"),
    ],
    ids=lambda value: value[:12],
)
def test_damaged_files_are_named_with_the_line(tmp_path: Path, content: str, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(FileFormatError, match=message) as caught:
        parse_xml(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_folders_and_giants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path / "none.osim", tmp_path):
        with pytest.raises(FileFormatError, match="no such file"):
            parse_xml(path)
    monkeypatch.setattr(xml, "MAX_BYTES", 20)
    with pytest.raises(FileFormatError, match="more than the .* MB limit"):
        parse_xml(written(tmp_path, PLAIN))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_damage_leads_to_anything_but_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(PLAIN.encode(data.draw(st.sampled_from(["utf-8", "utf-16"]))))
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(content)))
        content[begin : data.draw(st.integers(begin, min(begin + 20, len(content))))] = data.draw(st.binary(max_size=6))
    path = tmp_path_factory.getbasetemp() / "damaged.osim"
    path.write_bytes(bytes(content))
    try:
        assert parse_xml(path).getroot() is not None
    except FileFormatError as error:
        assert "\n" not in str(error)


def test_elements_are_read_and_wrong_ones_named(tmp_path: Path) -> None:
    root = parse_xml(
        written(
            tmp_path,
            "<Model name='m'>\n<a> 1, (2) -3e-1 </a><b/><c>1 x</c><d>nan</d><yes> True </yes><no>0</no>\n"
            "<odd>maybe</odd><Set><objects><!-- a remark --><X/><Y/></objects></Set></Model>",
        )
    ).getroot()
    np.testing.assert_array_equal(numbers(root, "a", 3), [1, 2, -0.3])
    np.testing.assert_array_equal(numbers(root, "b", 2, (4.0, 5.0)), [4, 5])
    assert (boolean(root, "yes", False), boolean(root, "no", True), boolean(root, "b", True)) == (True, False, True)
    assert (text(root, "c"), text(root, "b", "instead"), text(root, "absent")) == ("1 x", "instead", "")
    assert [node.tag for node in objects(root.find("Set"))] == ["X", "Y"]
    assert (objects(None), children(None), objects(root.find("a"))) == ([], [], [])
    assert where(root) == "<Model name='m'> (line 1)"
    for tag, message in {"b": "missing", "c": "must hold numbers, got '1 x'", "d": "not finite"}.items():
        with pytest.raises(FileFormatError, match=rf"<Model name='m'> \(line 1\): <{tag}> .*{message}"):
            numbers(root, tag)
    with pytest.raises(FileFormatError, match="<a> must hold 2 numbers, got 3"):
        numbers(root, "a", 2)
    with pytest.raises(FileFormatError, match="<odd> must be true or false, got 'maybe'"):
        boolean(root, "odd", True)
