"""Pictures of a report's page, through look.sh: CHROMIUM REPORT FOLDER. Draws FOLDER's terminal-*.ansi as well."""

import html
import re
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

TALL = 3000  # pixels of one picture; a longer page becomes several
COLOURS = "#222 #c33 #2a2 #b80 #36c #a3a #088 #ccc #777 #f55 #5d5 #fd5 #69f #f6f #5dd #fff".split()
LOOKS = [("desk", 1280, 900, "light", 1), ("desk-dark", 1280, 900, "dark", 1), ("phone", 390, 844, "light", 2),
         ("phone-dark", 390, 844, "dark", 2)]


def draw_page(page, folder, name):
    height = page.evaluate("document.documentElement.scrollHeight")
    width = page.viewport_size["width"]
    for part, top in enumerate(range(0, height, TALL)):
        clip = {"x": 0, "y": top, "width": width, "height": min(TALL, height - top)}
        page.screenshot(path=folder / ("%s-%02d.png" % (name, part + 1)), full_page=True, clip=clip)


def draw_browser(page, folder, name):
    """The sample browser with replies open, with token rewards where there are some, and its keys."""
    if not page.locator(".side").count():
        return
    page.locator(".tools label", has_text="raw replies").locator("input").check()
    page.locator("#samples").screenshot(path=folder / (name + "-samples.png"))
    rewards = page.locator("[aria-label='colours of tokens']")
    if rewards.locator("option").count() > 1:
        outcome = page.locator(".filters label", has_text="Outcome").locator("select")
        names = outcome.locator("option").all_inner_texts()
        outcome.select_option(label=next(n for n in names if n.startswith("with token rewards")))
        rewards.select_option(index=1)
        page.locator("#samples").screenshot(path=folder / (name + "-tokens.png"))
    page.locator("[aria-label='keys and help']").click()
    page.screenshot(path=folder / (name + "-keys.png"))
    page.keyboard.press("Escape")


def coloured(text):
    """A terminal's text as HTML: bold, dim, reverse and the sixteen colours."""
    out, style = [], {}
    for piece in re.split(r"(\x1b\[[0-9;]*m)", text):
        if not piece.startswith("\x1b["):
            css = ";".join("%s:%s" % pair for pair in style.items())
            out.append('<span style="%s">%s</span>' % (css, html.escape(piece)) if css else html.escape(piece))
            continue
        for code in [int(c or 0) for c in piece[2:-1].split(";")]:
            if code == 0:
                style = {}
            elif code == 39:
                style.pop("color", None)
            elif code == 1:
                style["font-weight"] = "bold"
            elif code == 2:
                style["opacity"] = ".6"
            elif code == 7:
                style.update({"background": "#ddd", "color": "#111"})
            elif 30 <= code <= 37 or 90 <= code <= 97:
                style["color"] = COLOURS[code - 30 if code < 90 else code - 82]
    return "".join(out)


def draw_terminal(page, file):
    page.set_content('<pre style="margin:0;padding:12px;background:#111;color:#ddd;font:14px/1.3 monospace;'
                     'display:inline-block;min-width:110ch">%s</pre>' % coloured(file.read_text().rstrip()))
    page.locator("pre").screenshot(path=file.with_suffix(".png"))


def main():
    chromium, report, folder = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3])
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, width, height, scheme, scale in LOOKS:
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme,
                                    device_scale_factor=scale, is_mobile=width < 600)
            page.goto(report.as_uri())
            if name == "desk":
                ready = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
                print("page: %.1f MB, ready %.0f ms after it was opened" % (report.stat().st_size / 1e6, ready))
            draw_page(page, folder, name)
            draw_browser(page, folder, name)
            page.close()
        page = browser.new_page()
        page.goto(report.as_uri())
        page.pdf(path=folder / "page.pdf", format="A4", prefer_css_page_size=True)
        for file in sorted(folder.glob("terminal-*.ansi")):
            draw_terminal(page, file)
        browser.close()


main()
