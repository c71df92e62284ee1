"""The course as a static website: executed chapters, equations, glossary, API reference and source, built offline.

`make site` runs `python -m dicmor_lib.site build/site`. It needs the extra `site` (Sphinx and what belongs to it), and
reads notebooks/ and dicmor_lib/ without changing anything there.
"""

from dicmor_lib.site.build import build_site

__all__ = ["build_site"]
