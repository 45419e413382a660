"""What a real browser makes of a page: how wide it is, and what is outside of its place."""

from __future__ import annotations

import html as markup
import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

NEEDS_CHROMIUM = pytest.mark.skipif(
    shutil.which("chromium") is None, reason="needs a browser (apt-get install chromium)"
)


class Measured(Struct, frozen=True, kw_only=True):
    """`wide` is that of the page's content. `outside` names elements that are wider than what they are in, or that squeeze their text, `texts`
    those of drawings outside of their box, `crossed` the boxes that a line crosses, `drawn` what is shown."""

    wide: int
    outside: list[str] = []
    texts: list[str] = []
    crossed: list[str] = []
    drawn: dict[str, int] = {}


MEASURE = """
const shown = each => each.getClientRects().length > 0;
const box = each => each.getBoundingClientRect();
const outside = [], texts = [], crossed = [];
for (const each of document.querySelectorAll('main *')) {
  if (!shown(each) || each.closest('svg') !== null && each.tagName !== 'svg') continue;
  const name = each.tagName + '.' + each.className + ' ' + each.textContent.slice(0, 40);
  if (box(each).right > innerWidth + 0.5) outside.push(name);
  const own = [...each.childNodes].filter(node => node.nodeType === 3).map(node => node.data.trim()).join('');
  if (own.length > 6 && each.clientWidth > 0 && each.clientWidth < 24) outside.push('squeezed ' + name);
  if (each.scrollWidth > each.clientWidth + 1 && each.clientWidth > 0) outside.push('scrolls ' + name);
}
const boxes = [...document.querySelectorAll('.step')].filter(shown);
for (const each of boxes) {
  const inside = box(each.querySelector('rect'));
  for (const text of each.querySelectorAll('text')) {
    const its = box(text);
    if (its.left < inside.left || its.right > inside.right || its.top < inside.top || its.bottom > inside.bottom)
      texts.push(text.textContent);
  }
}
const links = [...document.querySelectorAll('.link')].filter(shown);
for (const link of links) {
  const size = link.getTotalLength(), place = link.getScreenCTM();
  for (const each of boxes) {
    const its = box(each.querySelector('rect'));
    for (let at = 0; at <= 40; at++) {
      const point = link.getPointAtLength(size * at / 40).matrixTransform(place);
      if (point.x > its.left + 1 && point.x < its.right - 1 && point.y > its.top + 1 && point.y < its.bottom - 1) {
        crossed.push(each.textContent);
        break;
      }
    }
  }
}
const drawn = {boxes: boxes.length, links: links.length};
parent.postMessage(
  JSON.stringify({wide: document.documentElement.scrollWidth, outside, texts, crossed, drawn}), '*');
"""


def measured(folder: Path, html: str, width: int) -> Measured:
    """Show a page in a frame of that width: a browser's own window cannot be as narrow as a telephone."""
    (folder / "page.html").write_text(html.replace("</body>", f"<script>{MEASURE}</script></body>"))
    frame = f'<iframe src="page.html" style="width:{width}px;height:900px;border:0"></iframe>'
    (folder / "frame.html").write_text(f"<body><script>onmessage = m => document.title = m.data</script>{frame}</body>")
    dumped = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile", "--window-size=1400,900", "--virtual-time-budget=4000", "--dump-dom", f"file://{folder}/frame.html"],
        capture_output=True, text=True, timeout=50, check=True,
    ).stdout  # fmt: skip
    found = re.search(r"<title>(.+?)</title>", dumped, re.DOTALL)
    assert found, dumped[:500]
    return msgspec.json.decode(markup.unescape(found[1]), type=Measured)
