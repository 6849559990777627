from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orlop.cli import template
from orlop.cli.gotemplate.values import Method, quote
from orlop.errors import InvalidArgument
from tests.unit.cli.template_examples import EXAMPLES, REFUSED

VALUE: dict[str, Any] = {
    "Id": "abc",
    "State": {"Status": "exited", "Running": False, "ExitCode": 3, "Share": 0.25, "Nothing": None},
    "Entrypoint": None,
    "Binds": ["/a", "/b"],
    "Empty": [],
    "Config": {"Labels": {"z": "1", "a.b": "2"}, "Env": ["PATH=/bin", "HOME=/"]},
    "Mounts": [{"Source": "/s", "RW": True}, {"Source": "/t", "RW": False}],
    "Label": Method(lambda key: f"<{key}>"),
}


@pytest.mark.parametrize(("format_", "text"), EXAMPLES)
def test_a_template_prints_what_docker_prints(format_: str, text: str) -> None:
    assert template.render(format_, {}) == text


@pytest.mark.parametrize(
    ("format_", "text"),
    [
        ("{{.Id}}", "abc"),
        ("{{ .State.Status }}/{{.State.ExitCode}}", "exited/3"),
        ("{{.State.Running}} {{.State.Share}}", "false 0.25"),
        ("{{json .Binds}}", '["/a","/b"]'),
        ("{{.Entrypoint}} {{json .Entrypoint}} {{.State.Nothing}} {{.State.Health}}", "[] null <no value> <nil>"),
        ("{{.Binds}} {{.Empty}} {{.Config.Labels}}", "[/a /b] [] map[a.b:2 z:1]"),
        ("{{print .Entrypoint}} {{len .Entrypoint}} {{join .Entrypoint `,`}}", "<nil> 0 "),
        ("{{range .Mounts}}{{.Source}}={{.RW}} {{end}}", "/s=true /t=false "),
        ("{{range $i, $e := .Binds}}{{$i}}{{$e}}{{$.Id}} {{end}}", "0/aabc 1/babc "),
        ("{{range $key, $value := .Config.Labels}}{{$key}}={{$value}};{{end}}", "a.b=2;z=1;"),
        ("{{range .Entrypoint}}x{{else}}none{{end}}{{range .Empty}}x{{else}}none{{end}}", "nonenone"),
        ('{{index .Config.Labels "a.b"}} {{index .Binds 1}} {{index .Mounts 1 "Source"}}', "2 /b /t"),
        ('{{index .Config.Labels "none"}}|{{.Config.Labels.none}}', "|<no value>"),
        ('{{index .State "none"}}', "<no value>"),
        ('{{with index .Config.Labels "z"}}{{.}}{{$.Id}}{{end}}{{.Id}}', "1abcabc"),
        ('{{range .Config.Env}}{{if eq (index (split . "=") 0) "HOME"}}{{.}}{{end}}{{end}}', "HOME=/"),
        ("{{$x := .State}}{{$x.Status}} {{(index .Mounts 0).Source}}", "exited /s"),
        ('{{.Label "k"}} {{"k" | .Label}}', "<k> <k>"),
        ("{{if and .Binds (not .Empty)}}yes{{end}}{{if or .Empty .Entrypoint}}no{{end}}", "yes"),
        ("{{if .State.Running}}up{{else if eq .State.ExitCode 3}}three{{else}}down{{end}}", "three"),
        ("{{range $e := .Binds}}{{$.Id}}{{break}}{{end}}", "abc"),
        (r"id\t{{.Id}}\n", r"id\tabc\n"),
        (
            "{{json .State}} {{json .Config.Labels}}",
            '{"Status":"exited","Running":false,"ExitCode":3,"Share":0.25,"Nothing":null} {"z":"1","a.b":"2"}',
        ),
        ("{{if .State.Health}}{{.State.Health.Status}}{{else}}unchecked{{end}}", "unchecked"),
    ],
)
def test_fields_are_found_and_printed(format_: str, text: str) -> None:
    assert template.render(format_, VALUE) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [  # the right-hand sides are what docker 28 printed of such containers, networks and images
        (
            {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "81/udp": None},
            "map[80/tcp:[{127.0.0.1 8080}] 81/udp:[]]",
        ),
        ({"Name": "no", "MaximumRetryCount": 0}, "{no 0}"),
        ({"Type": "json-file", "Config": {}}, "{json-file map[]}"),
        ({"80/tcp": {}, "81/tcp": {}}, "map[80/tcp:{} 81/tcp:{}]"),
        (
            [{"Type": "bind", "Source": "/a", "Destination": "/b", "Mode": "", "RW": True, "Propagation": "rprivate"}],
            "[{bind  /a /b   true rprivate}]",
        ),
        ([{"Subnet": "172.29.0.0/16", "Gateway": "172.29.0.1"}], "[{172.29.0.0/16  172.29.0.1 map[]}]"),
        ({"Type": "layers", "Layers": ["sha256:ab"]}, "{layers [sha256:ab]}"),
        ({"Name": "label"}, "map[Name:label]"),
    ],
)
def test_what_is_a_struct_in_docker_s_client_is_printed_as_one(value: object, text: str) -> None:
    assert template.render("{{.X}}", {"X": value}) == text


def test_what_is_left_out_is_nothing_of_its_type() -> None:
    absent = {"Name": "v", "SecondaryIPAddresses": None}
    printed = template.render("{{.Status}} {{.UsageData}} {{.DockerVersion}} {{.SecondaryIPAddresses}}", absent)
    assert printed == "map[] <nil>  []"


def test_json_is_the_whole_object_but_for_what_takes_arguments() -> None:
    wanted = {key: value for key, value in VALUE.items() if key != "Label"}
    assert json.loads(template.render("json", VALUE)) == wanted
    assert json.loads(template.render("{{json .}}", VALUE)) == wanted


def test_json_of_bytes_that_are_not_text_is_still_json() -> None:
    assert template.render("{{json .}}", ["a\udcff", float(10**6), 1e-9]) == '["a\\ufffd",1000000,1e-9]'


@pytest.mark.parametrize("format_", REFUSED)
def test_what_docker_refuses_is_refused(format_: str) -> None:
    with pytest.raises(InvalidArgument, match="^invalid --format"):
        template.render(format_, {})


@pytest.mark.parametrize(
    ("format_", "complaint"),
    [
        ("{{.Id", 'column 1: "{{" without "}}"'),
        ("ab{{Id}}", "column 5: there is no function Id; a field begins with a dot"),
        ("{{.Idd}}", "column 3: there is no field .Idd; did you mean .Id"),
        ("{{.state.Status}}", "did you mean .State"),
        ("{{.State.Xyz}}", "column 3: there is no field .Xyz; there are Status, Running, ExitCode, Share, Nothing"),
        ("{{.Id.Deeper}}", ".Deeper cannot be a field of a value of type string"),
        ("{{.Entrypoint.X}}", ".X cannot be a field of a value of type nil"),
        ("{{}}", 'column 3: expected a value or a function, found "}}"'),
        ("{{range .Binds}}", "expected {{end}} of range, found end of format"),
        ("{{if .Id}}a{{else}}b{{else}}c{{end}}", "column 23: expected {{end}} of if, found else"),
        ("{{end}}", "column 3: {{end}} without something that it belongs to"),
        ("{{.Id}}{{jsn .Id}}", "column 10: there is no function jsn; did you mean json"),
        ("{{len .State.ExitCode}}", "column 3: len: a value of type int has no length"),
        ("{{range .Id}}{{end}}", "column 9: range cannot go over a value of type string"),
        ("{{.Id .Binds}}", "column 3: .Id takes no arguments"),
        ("{{.Id | 3}}", 'column 9: expected a function after "|", found "3"'),
        ("{{$x}}", "column 3: variable $x was not declared"),
        ("{{range $x := .Empty}}{{else}}{{$x}}{{end}}", "column 33: variable $x was not declared"),
        ("{{split .Id}}", "column 3: split takes 2 arguments, not 1"),
        ('{{define "x"}}{{end}}', "define is not one of the actions that orlop has"),
        ("{{call .Id}}", "function call is not one of those that orlop has"),
        ('{{printf "%T" 1}}', "printf: %T is not one of the verbs that orlop knows"),
        ('{{printf "%d" .Id}}', "printf: %d cannot print a value of type string"),
        ('{{printf "%d %d" 1}}', "printf: no argument for %d"),
        ('{{printf "%[1]d" 1}}', "%[ is not one of the verbs"),
        ('{{printf "%9999999d" 1}}', "a width or precision of more than"),
        ("{{.Label}}", ".Label does not take these arguments"),
        ("{{eq .Binds 1}}", "eq: a value of type list cannot be compared"),
        ("{{" + "(" * 3000 + "1" + ")" * 3000 + "}}", "nested too deeply"),
    ],
)
def test_a_mistake_is_told_with_its_place(format_: str, complaint: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        template.render(format_, VALUE)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


PIECES = st.sampled_from([
    "{{", "}}", "{{- ", " -}}", "/*", "*/", " ", "(", ")", "|", ",", ":=", "=", "$x", "$", ".", ".State", ".Id", ".Binds",
    "range", "if", "with", "else", "end", "break", "nil", "true", "1", "-2.5", "0x", "'a'", '"a"', '"', "`", "\\", "%d",
    "printf", "index", "slice", "len", "eq", "and", "join", "split", "json", "\n", "é", "\0", "text",
])  # fmt: skip


@given(
    st.lists(PIECES, max_size=12).map("".join)
    | st.lists(PIECES, max_size=6).map(lambda each: f"{{{{{' '.join(each)}}}}}")
)
@settings(max_examples=300, deadline=None)
def test_whatever_a_format_is_it_is_printed_or_refused(format_: str) -> None:
    try:
        template.render(format_, VALUE)
    except InvalidArgument as error:
        assert "invalid --format" in str(error)


@given(
    st.text(alphabet="%vsdqxXtcUeEfFgGbo+-# 0123.*é", max_size=8),
    st.sampled_from([1, -1, 0xD800, -1.5, "a", True, None, [1, "b"]]),
)
@settings(max_examples=300, deadline=None)
def test_whatever_printf_is_given_it_prints_or_refuses(format_: str, value: object) -> None:
    try:
        template.render("{{printf .Format .Value}}", {"Format": format_, "Value": value})
    except InvalidArgument as error:
        assert "printf" in str(error)


def test_a_template_can_be_applied_again_and_again() -> None:
    made = template.Template("{{$x := .}}{{$x}}")
    assert [made.render(each) for each in "abc"] == ["a", "b", "c"]


def test_what_is_not_printable_is_quoted_as_go_does() -> None:
    assert quote('a"\\\n\x1b\x7f\u200bé') == '"a\\"\\\\\\n\\x1b\\x7f\\u200bé"'
