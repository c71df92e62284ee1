"""Sphinx's settings for the site; `python -m dicmor_lib.site` runs Sphinx with them."""

from importlib.util import find_spec
from pathlib import Path

from dicmor_lib import __version__
from dicmor_lib.site.extension import linkcode_resolve  # noqa: F401  (Sphinx looks for it here)

project = "DiCMoR, taught and measured"
author = "the dicmor authors"
release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.linkcode",
    "sphinx_copybutton",
    "dicmor_lib.site.extension",
]
exclude_patterns: list[str] = []

# --- chapters: shown as executed, never executed here ---
nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "gfm"
myst_enable_extensions = ["dollarmath", "amsmath", "attrs_block", "attrs_inline"]
myst_heading_anchors = 3
copybutton_exclude = ".linenos, .gp, .go"

# --- mathematics: one file from an installed package, so that nothing is fetched ---
_mathjax = Path(find_spec("sphinx-mathjax-offline").submodule_search_locations[0]) / "static" / "mathjax"
mathjax_path = "tex-svg-full.js"
# not empty: an empty one would be taken as a wish for the settings of MathJax 4
mathjax3_config = {"svg": {"fontCache": "global", "scale": 0.92}, "options": {"enableMenu": False}}

# --- reference ---
default_role = "literal"
add_module_names = False
python_use_unqualified_type_names = True
toc_object_entries = False  # modules are enough beside the text, and every page would carry every name
suppress_warnings = ["ref.python"]  # two classes may have attributes of one name
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False  # what torch says of nn.Module stands in torch's documentation
autodoc_typehints_format = "short"
maximum_signature_line_length = 80
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = ["Source", "Direction", "Shapes"]

# --- looks ---
html_theme = "sphinx_book_theme"
html_title = "DiCMoR"
html_static_path = ["style.css", "keyboard.js", str(_mathjax / mathjax_path)]
html_css_files = ["style.css"]
html_js_files = ["keyboard.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_context = {
    "default_mode": "auto"
}  # the reader's system decides; without it the theme's script complains
html_theme_options = {
    "navbar_persistent": [],  # the search is in the sidebar
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "show_navbar_depth": 1,
}
