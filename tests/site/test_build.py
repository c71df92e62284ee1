"""Building: what can go wrong is said in a sentence, and nothing that is not a site is deleted."""

from __future__ import annotations

import pytest

from dicmor_lib.errors import ConfigError, MissingExtraError
from dicmor_lib.site import __main__, build


@pytest.fixture
def installed(monkeypatch):
    """As if the extra `site` were there; Sphinx itself is not run."""
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(build, "write_pages", lambda pages: pages.mkdir())
    ran = []
    monkeypatch.setattr(build, "_run_sphinx", lambda *folders: ran.append(folders))
    return ran


def test_what_is_not_installed_is_named_with_the_remedy(monkeypatch, tmp_path):
    real = build.importlib.util.find_spec
    absent = ("myst_nb", "sphinx-mathjax-offline")
    monkeypatch.setattr(
        build.importlib.util, "find_spec", lambda name: None if name in absent else real(name)
    )
    with pytest.raises(
        MissingExtraError, match=r"myst_nb, sphinx-mathjax-offline; install them with: pip .*\[site\]"
    ):
        build.build_site(tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_a_folder_with_something_else_in_it_is_left_alone(installed, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="holds something else than a site; name a new or an empty folder"):
        build.build_site(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work" and not installed


def test_a_file_is_left_alone(installed, tmp_path):
    (tmp_path / "site").write_text("a file")
    with pytest.raises(ConfigError, match="site is a file; name a new or an empty folder"):
        build.build_site(tmp_path / "site")
    assert (tmp_path / "site").read_text() == "a file"


def test_an_earlier_site_is_replaced(installed, tmp_path):
    for name in (build.MARK, "old.html"):
        (tmp_path / name).touch()
    assert build.build_site(tmp_path) == tmp_path / "index.html"
    assert not (tmp_path / "old.html").exists() and len(installed) == 1


def test_a_build_that_was_interrupted_can_be_repeated(installed, tmp_path, monkeypatch):
    def interrupted(pages, folder, doctrees):
        (folder / "half.html").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(build, "_run_sphinx", interrupted)
        build.build_site(tmp_path / "site")
    assert build.build_site(tmp_path / "site").parent == tmp_path / "site"


def test_pages_are_collected_outside_the_repository_and_removed(installed, tmp_path):
    build.build_site(tmp_path / "site")
    pages, folder, doctrees = installed[0]
    assert folder == tmp_path / "site"
    assert not pages.exists() and not pages.is_relative_to(build.ROOT) and not doctrees.exists()


def test_the_command_says_where_the_site_is(installed, tmp_path, capsys):
    assert __main__.main([str(tmp_path / "site")]) == 0
    assert "index.html" in capsys.readouterr().out


def test_the_command_says_why_there_is_none(installed, tmp_path, capsys):
    (tmp_path / "x").touch()
    assert __main__.main([str(tmp_path)]) == 2
    assert (
        capsys.readouterr().err
        == f"site: {tmp_path} holds something else than a site; name a new or an empty folder\n"
    )
