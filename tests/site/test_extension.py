"""What the site adds to Sphinx: links of named equations, links to the source, signatures that are not definitions."""

from __future__ import annotations

import inspect

import pytest

from dicmor_lib.blocks import Flow
from dicmor_lib.site.addresses import ROOT

pytest.importorskip("sphinx", reason="the extra `site` is not installed: pip install -e '.[site]'")

from sphinx import addnodes  # noqa: E402

from dicmor_lib.site import extension  # noqa: E402


def in_code(body: str, page: str) -> str:
    context = {"body": body, "pathto": lambda other: "#" if other == page else f"../{other}.html"}
    extension.equations_in_code(None, page, "", context, None)
    return context["body"]


def test_a_text_is_split_at_the_equations_it_names():
    pieces = extension.named_equations("so Eq. (13), (14) say", str, lambda label, number: (label, number))
    assert pieces == ["so ", ("Eq. (13)", 13), ", ", ("(14)", 14), " say"]


@pytest.mark.parametrize("kind", ["c1", "sd"])
def test_a_comment_or_docstring_that_names_an_equation_leads_to_it(kind):
    shown = in_code(f'<span class="{kind}"># Eq. (2)</span>', "source/dicmor_lib.blocks.coupling")
    link = '<a href="../chapters/02_coupling_layers.html#equation-2">Eq. (2)</a>'
    assert shown == f'<span class="{kind}"># {link}</span>'


def test_within_the_chapter_the_link_stays_on_the_page():
    shown = in_code('<span class="c1"># Eq. (2)</span>', "chapters/02_coupling_layers")
    assert shown == '<span class="c1"># <a href="#equation-2">Eq. (2)</a></span>'


@pytest.mark.parametrize(
    "body", ['<span class="c1"># Eq. (99)</span>', '<span class="s2">"Eq. (2)"</span>', "Eq. (2)"]
)
def test_unknown_numbers_strings_and_text_are_left_alone(body):
    assert in_code(body, "source/x") == body


def test_lines_of_a_signature_are_not_a_list_of_definitions():
    context = {
        "body": '(<dl>\n<dd><em class="sig-param">x</em>,</dd>\n</dl>\n)<dt>Variables</dt><dl class="py"><dd>kept</dd></dl>'
    }
    extension.tidy_reference(None, "", "", context, None)
    lines = '<span class="sig-lines"><span class="sig-line"><em class="sig-param">x</em>,</span>\n</span>'
    assert context["body"] == f'({lines}\n)<dt>Attributes</dt><dl class="py"><dd>kept</dd></dl>'


@pytest.mark.parametrize(
    ("value", "stays"),
    [
        ("50.0", True),
        ("('language', 'audio')", True),
        ("PosixPath('/home/x')", False),
        ("<object at 0x7f>", False),
    ],
)
def test_only_values_that_say_something_are_shown(value, stays):
    shown = addnodes.desc_annotation("", f" = {value}")
    description = addnodes.desc("", addnodes.desc_signature("", "", shown), addnodes.desc_content())
    extension.short_values_only(None, "py", "data", description[1])
    assert (f"= {value}" in description.astext()) == stays


class TestSource:
    def resolve(self, module: str, name: str) -> str | None:
        return extension.linkcode_resolve("py", {"module": module, "fullname": name})

    @pytest.mark.parametrize(
        ("name", "item"), [("Flow", Flow), ("Flow.inverse", inspect.unwrap(Flow.inverse))]
    )
    def test_a_class_or_method_leads_to_the_line_where_it_begins(self, name, item):
        page, _, line = self.resolve("dicmor_lib.blocks.flow", name).partition("#line-")
        assert page == "../source/dicmor_lib.blocks.flow.html"
        text = (ROOT / "dicmor_lib" / "blocks" / "flow.py").read_text().splitlines()
        begins = text[int(line) - 1 : int(line) + 2]
        assert any(f" {item.__name__}(" in start for start in begins)

    @pytest.mark.parametrize("name", ["MODALITIES", "no_such_name"])
    def test_what_has_no_line_of_its_own_has_no_link(self, name):
        assert self.resolve("dicmor_lib.modalities", name) is None

    def test_what_comes_from_another_package_has_no_link(self):
        assert self.resolve("torch.nn", "Linear") is None

    def test_a_package_that_lies_within_the_checkout_has_no_link(self):
        """As torch does where `make` puts the environment into .venv."""
        assert self.resolve(__name__, "TestSource") is None


def test_made_up_docstrings_of_named_tuples_are_left_out():
    field = type("T", (tuple,), {})
    field.__doc__ = "Alias for field number 0"
    assert extension.skip_member(None, "", "", field, False, None) is True
    assert extension.skip_member(None, "", "", Flow, False, None) is None
