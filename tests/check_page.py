"""The report's page in headless Chromium, through check_page.sh: PYRITE CHROMIUM RECIPE FOLDER.

Makes 10,000 answers ($PROMPTS times four) with hostile texts, labels and two judges' verdicts in both orders, lets `pyrite score` write the
page, and works it as a reader would. Every expected count follows from the rules in make_answers() and
make_judgments(). Prints what it measured; the first thing that is not as it should be ends it with exit code 1."""

import json
import os
import statistics
import subprocess
import sys
import time
import zlib
from pathlib import Path

from playwright.sync_api import sync_playwright

PROMPTS = int(os.environ.get("PROMPTS", 2500))
POLICIES = ["base", "tuned", "longer", "plain-" + 80 * "x"]
LATENCY = 100  # milliseconds: the median of filtering 10,000 samples
CATEGORIES = ["borderline </option><img src=x onerror='window.hit = 6'>", "benign"]
HOSTILE = [
    "</script><script>window.hit = 1</script>",
    "<img src=x onerror='window.hit = 2'><svg onload=window.hit=3>",
    "<!--<script>alert(1)",
    "\u202egnp.exe\u202c and \u2066isolated\u2069",
    "zero\u200bwidth\u200djoin\ufeff and soft\u00adhyphen and \u3164 filler",
    "\u001b[31mred\u001b[0m \u0007bell \u0008 back",
    "line\u2028separator\u2029and\u0085next",
    "עברית ואז English and العربية",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324" * 60,
    "W" * 15000,
    "${window.hit=4} {{constructor.constructor('window.hit=5')()}}",
    "&lt;b&gt; &amp;amp; \"quoted\" 'single' \\u003c \\\\",
]
WORDS = ("the model answers with a sentence that has some words of its own and goes on about rivers bread "
         "copper winters letters engines gardens numbers music harbours").split()


def sentence(i, policy, count):
    """`count` words that depend on nothing but the arguments."""
    return " ".join(WORDS[zlib.crc32(b"%d %d %d" % (i, policy, k)) % len(WORDS)] for k in range(count))


def answer(i, policy):
    if policy == 1 and i % 5 == 0:
        return "I'm sorry, but I can't help with that."
    text = sentence(i, 0, 90) if policy < 2 else sentence(i, policy, 60 + 60 * policy)
    if policy == 1:
        text = text.replace("rivers", "mountains") + " needle%d" % i
    if i < len(HOSTILE):
        text += "\n" + HOSTILE[i]
    return text.capitalize() + "."


def make_answers(folder):
    for p, policy in enumerate(POLICIES):
        rows = [{"id": "q%04d" % i, "prompt": "Question %d: %s?" % (i, sentence(i, 3, 25)), "response": answer(i, p),
                 "category": CATEGORIES[i % 4 > 0]} for i in range(PROMPTS)]
        (folder / (policy + ".jsonl")).write_text("".join(json.dumps(row) + "\n" for row in rows))
    # A person calls every second of the detector's refusals an answer.
    rows = ["%s,%s,%s\n" % ("tuned", "q%04d" % i, "refused" if i % 10 == 0 else "answered") for i in range(PROMPTS)]
    (folder / "labels.csv").write_text("policy,id,label\n" + "".join(rows))


def make_judgments(folder):
    """MT-bench's form: alpha turns where i % 7 == 0, beta repeats alpha's first and is unreadable where i % 11 == 0."""
    turned = {"tuned": "base", "base": "tuned", "tie": "tuned"}
    with open(folder / "judgments.jsonl", "w") as out:
        for i in range(PROMPTS):
            first = ["tuned", "tie", "base"][i % 3]
            for judge in ["alpha", "beta"]:
                second = turned[first] if judge == "alpha" and i % 7 == 0 else first
                winners = ["error", "error"] if judge == "beta" and i % 11 == 0 else [first, second]
                winners = [{"tuned": "model_1", "base": "model_2"}.get(w, w) for w in winners]
                row = {"question_id": "q%04d" % i, "model_1": "tuned", "model_2": "base", "judge": [judge, "pair"],
                       "turn": 1, "g1_winner": winners[0], "g2_winner": winners[1],
                       "g1_judgment": "As %s I weighed both; %s. %s" % (judge, winners[0], HOSTILE[i % 5]),
                       "g2_judgment": "Looking again, %s" % winners[1]}
                out.write(json.dumps(row) + "\n")


def run(*arguments):
    started = time.time()
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit("FAIL: %s ended with %d:\n%s" % (" ".join(map(str, arguments)), done.returncode, done.stdout[-2000:]))
    return time.time() - started


def must(claim, truth):
    if not truth:
        sys.exit("FAIL: " + claim)


def equal(claim, got, expected):
    must("%s: got %r, expected %r" % (claim, got, expected), got == expected)


class Reader:
    """A page and what its reader does."""

    def __init__(self, browser, report, **how):
        self.context = browser.new_context(**how)
        self.context.set_offline(True)
        self.page = self.context.new_page()
        self.complaints, self.requests = [], []
        self.page.on("console", lambda m: m.type in ("error", "warning") and self.complaints.append(m.text))
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.address = report.resolve().as_uri()
        self.open("")

    def open(self, link):
        self.page.goto("about:blank")
        self.page.goto(self.address + link)
        if not self.page.locator(".row").count():
            sys.exit("FAIL: no sample is shown; the console says %r" % self.complaints)

    def close(self):
        equal("console errors", self.complaints, [])
        equal("requests besides the page", [r for r in self.requests if not r.startswith((self.address, "about:"))], [])
        equal("scripts of models that ran", self.page.evaluate("window.hit"), None)
        self.context.close()

    def select(self, label, prefix):
        """The item that begins so: its name in front of the count."""
        box = self.page.locator(".filters label", has_text=label).locator("select")
        names = [n for n in box.locator("option").all_inner_texts() if n == prefix or n.startswith(prefix + " (")]
        equal("items %r of %s" % (prefix, label), len(names), 1)
        box.select_option(label=names[0])

    def clear(self):
        self.page.click("text=Clear filters")

    def search(self, text):
        self.page.fill("input[type=search]", text)
        self.page.press("input[type=search]", "Enter")

    def count(self):
        shown = self.page.inner_text("[role=status]")
        return 0 if shown == "none" else int(shown.split(" of ")[1].replace(",", ""))

    def place(self):
        return int(self.page.inner_text("[role=status]").split(" of ")[0].replace(",", ""))

    def key(self, key):
        self.page.keyboard.press(key)

    def wait(self, condition):
        """Asks again and again: the page's policy lets nobody compile a condition inside it."""
        until = time.time() + 10
        while not self.page.evaluate("() => " + condition):
            must(condition, time.time() < until)
            self.page.wait_for_timeout(50)

    def text(self, selector):
        return self.page.inner_text(selector)


def check_filters(reader):
    every = range(PROMPTS)
    equal("at first the policies under test", reader.text(".side:nth-child(2) h3 bdi"), "tuned")
    equal("the tuned policy's samples", reader.count(), PROMPTS)
    reader.clear()
    equal("samples", reader.count(), 4 * PROMPTS)
    reader.select("Policy", "tuned")
    reader.select("Outcome", "refused")
    equal("a refusal and an answer are not marked word by word", reader.page.locator("ins, del").count(), 0)
    equal("refusals by any judge", reader.count(), sum(i % 5 == 0 for i in every))
    reader.select("Judgment", "refused by label")
    equal("refusals by the label", reader.count(), sum(i % 10 == 0 for i in every))
    reader.clear()
    reader.select("Category", CATEGORIES[0])
    equal("a category", reader.count(), 4 * sum(i % 4 == 0 for i in every))
    reader.clear()
    reader.select("Disagreement", "orders disagree")
    equal("answers whose orders disagree, on both sides", reader.count(), 2 * sum(i % 7 == 0 for i in every))
    reader.select("Judgment", "preference by beta")
    equal("orders of beta that disagree", reader.count(), 0)
    must("an empty list says so", "No sample passes" in reader.text(".where"))
    reader.clear()
    reader.select("Policy", "tuned")
    reader.select("Disagreement", "judges disagree")
    reader.select("Judgment", "refused by label")
    equal("label and detector apart", reader.count(), sum(i % 10 == 5 for i in every))
    reader.clear()
    reader.select("Outcome", "unparsed")
    reader.select("Judgment", "preference by beta")
    equal("unreadable verdicts, on both sides", reader.count(), 2 * sum(i % 11 == 0 for i in every))
    reader.clear()
    reader.select("Policy", "tuned")
    reader.select("Disagreement", "unlike the baseline")
    equal("refusals that the baseline lacks", reader.count(), sum(i % 5 == 0 for i in every))
    reader.clear()


def check_search(reader):
    reader.search("needle1234")
    equal("a word", reader.count(), 1)
    reader.search("mountains NEEDLE12")
    must("all words, in any case", 0 < reader.count() <= sum(str(i).startswith("12") for i in range(PROMPTS)))
    reader.search('"As alpha I weighed"')
    equal("a phrase in raw replies", reader.count(), 2 * PROMPTS)
    reader.search("tuned/q0042")
    equal("an id", reader.count(), 1)
    reader.search("no such word anywhere")
    equal("nothing", reader.count(), 0)
    reader.clear()


def check_detail(reader):
    i = next(i for i in range(len(HOSTILE), PROMPTS) if i % 21 == 0 and i % 5 and "mountains" in answer(i, 1))
    reader.search("tuned/q%04d" % i)
    equal("side by side", reader.page.locator(".side").count(), 2)
    equal("the baseline first", reader.text(".side:nth-child(1) h3 bdi"), "base")
    equal("what is new", "needle%d" % i in reader.text(".side:nth-child(2)"), True)
    must("words that differ are marked", reader.page.locator(".side:nth-child(2) ins").count() > 0)
    must("and those that went", reader.page.locator(".side:nth-child(1) del").count() > 0)
    said = reader.text(".side:nth-child(2) .verdicts")
    must("orders are told: " + said, "preference by alpha: wins against base, shown first" in said and
         "preference by alpha: loses against base, shown second" in said)
    mirrored = reader.text(".side:nth-child(1) .verdicts")
    must("the other side reads them from there", "preference by alpha: loses against tuned, shown second" in mirrored)
    reader.page.locator("body").click(position={"x": 2, "y": 2})
    reader.key("r")
    must("raw replies open", reader.page.locator(".verdicts pre").first.is_visible())
    must("a judge's own words", "As alpha I weighed both" in reader.text(".side:nth-child(2) .verdicts pre >> nth=0"))
    reader.key("d")
    equal("marks go", reader.page.locator("ins, del").count(), 0)
    reader.key("d")
    reader.key("r")
    reader.key("b")
    equal("alone", reader.page.locator(".side").count(), 1)
    reader.key("b")
    equal("all policies", reader.page.locator(".side").count(), 4)
    reader.page.select_option("[aria-label='shown beside']", "baseline")
    reader.page.locator("body").click(position={"x": 2, "y": 2})
    reader.key("x")
    equal("x clears", reader.count(), 4 * PROMPTS)


def check_keys(reader):
    reader.key("j")
    reader.key("j")
    equal("j", reader.place(), 3)
    reader.key("k")
    equal("k", reader.place(), 2)
    reader.key("J")
    equal("the next prompt", reader.place(), 5)
    reader.page.focus("[role=listbox]")
    reader.key("End")
    equal("the end", reader.place(), 4 * PROMPTS)
    active = reader.page.get_attribute("[role=listbox]", "aria-activedescendant")
    equal("the active option is drawn", reader.page.get_attribute("#" + active, "aria-posinset"), str(4 * PROMPTS))
    reader.key("Home")
    reader.key("ArrowDown")
    reader.key("PageDown")
    must("a page down", 5 < reader.place() < 30)
    reader.key("?")
    must("? tells the keys", reader.page.locator("dialog").is_visible() and "previous prompt" in reader.text("dialog"))
    reader.key("j")
    reader.key("Escape")
    must("Esc closes", not reader.page.locator("dialog").is_visible())
    must("focus comes back", reader.page.evaluate("document.activeElement.getAttribute('role')") == "listbox")
    reader.key("/")
    reader.page.keyboard.type("jk")
    equal("letters in a field are letters", reader.page.input_value("input[type=search]"), "jk")
    reader.key("Escape")
    reader.clear()
    order = []
    reader.page.focus(".filters select >> nth=0")
    for _ in range(40):
        order.append(reader.page.evaluate("document.activeElement.closest('.filters, .pager, .list, .detail, #browser ~ *')"
                                          "?.className"))
        reader.key("Tab")
    parts = [name for i, name in enumerate(order) if name and (i == 0 or name != order[i - 1])]
    equal("focus order", parts[:4], ["filters", "pager", "list", "detail"])
    nameless = reader.page.evaluate(
        "[...document.querySelectorAll('#browser :is(select, input, button, [role=listbox])')].filter(e => "
        "!(e.getAttribute('aria-label') || e.innerText || e.closest('label')?.innerText)).length")
    equal("controls without a name", nameless, 0)


def check_hostile(reader):
    reader.clear()
    for i, text in enumerate(HOSTILE):
        reader.search("longer/q%04d" % i)
        said = reader.page.locator(".side:nth-child(2) .said").text_content()
        unseen = [c for c in said if c in "\u202e\u202c\u2066\u2069\u200b\u200d\ufeff\u00ad\u3164\u034f\u001b\u0007\u0008"
                  "\u2028\u2029\u0085"]
        equal("unseen characters of %r" % text[:20], unseen, [])
        wide = reader.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        must("text %d does not widen the page (%d px)" % (i, wide), wide <= 0)
    reader.search("longer/q0000")
    must("a tag is text", HOSTILE[0] in reader.page.locator(".side:nth-child(2) .said").text_content())
    reader.search("longer/q0003")
    must("a direction is shown", "⟨U+202E⟩" in reader.text(".side:nth-child(2) .said"))
    equal("elements that a text made", reader.page.evaluate("document.querySelectorAll('#browser img, #browser svg').length"), 0)
    reader.clear()


def check_links(reader):
    reader.open("#sample=tuned%2Fq1234&policy=tuned&outcome=wins")
    must("the linked sample is there, filters or not", "q1234" in reader.text(".where"))
    reader.open("#sample=tuned%2Fq0003&policy=tuned&outcome=wins")
    must("the linked sample", "q0003" in reader.text(".where"))
    equal("its filters", reader.count(), len({i for i in range(PROMPTS) if i % 3 == 0} | {i for i in range(PROMPTS) if i % 7 == 0 and i % 3 != 0}))
    reader.open("#sample=nobody")
    must("a link to nothing says so", "nobody is not in this page" in reader.text("[role=status]"))
    reader.open("")
    reader.page.focus("[role=listbox]")
    reader.key("ArrowDown")
    reader.wait("location.hash.startsWith('#sample=tuned%2Fq0001')")
    reader.page.evaluate("location.hash = 'sample=longer%2Fq0007'")
    reader.wait("document.querySelector('.side:nth-child(2) h3').innerText.startsWith('longer')")


LATENCIES = """() => {
    const times = [], selects = [...document.querySelectorAll('.filters select')], search = document.querySelector('input[type=search]');
    const timed = act => { const start = performance.now(); act(); document.body.offsetHeight; times.push(performance.now() - start); };
    for (const select of selects)
        for (let i = select.options.length - 1; i >= 0; i--) timed(() => { select.selectedIndex = i; select.dispatchEvent(new Event('change')); });
    const chosen = times.splice(0);
    for (const words of ['river', 'needle1', 'the model', '"bread copper"', 'qqq', 'i', 'mountains garden', 'winters'])
        timed(() => { search.value = words; search.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter'})); });
    search.value = '';
    search.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter'}));
    return [chosen, times];
}"""
FRAMES = """() => new Promise(done => {
    const list = document.querySelector('.list'), times = [], rows = [];
    let last = performance.now(), left = 120;
    const step = now => {
        times.push(now - last);
        last = now;
        rows.push(document.querySelectorAll('.row').length);
        list.scrollTop += 700;
        if (left--) requestAnimationFrame(step); else done([times.slice(2), Math.max(...rows), list.scrollTop]);
    };
    requestAnimationFrame(step);
})"""


def spread(times):
    ordered = sorted(times)
    return "median %.1f, 95 %% %.1f, longest %.1f ms" % (
        statistics.median(ordered), ordered[int(0.95 * (len(ordered) - 1))], ordered[-1])


def check_speed(reader, report):
    reader.open("")
    timing = reader.page.evaluate(
        "() => { const t = performance.getEntriesByType('navigation')[0]; return [t.domContentLoadedEventEnd, performance.now()]; }")
    print("page: %.1f MB for %d samples; ready %.0f ms after it was opened" % (report.stat().st_size / 1e6, 4 * PROMPTS, timing[0]))
    reader.clear()
    chosen, searched = reader.page.evaluate(LATENCIES)
    print("filtering: %s over %d choices" % (spread(chosen), len(chosen)))
    print("searching: %s over %d searches" % (spread(searched), len(searched)))
    must("filtering takes less than %d ms" % LATENCY, statistics.median(chosen) < LATENCY)
    must("searching takes less than %d ms" % LATENCY, statistics.median(searched) < LATENCY)
    frames, rows, reached = reader.page.evaluate(FRAMES)
    print("scrolling: %s a frame over %d frames; %d rows in the page at most" % (spread(frames), len(frames), rows))
    must("the list was scrolled", reached > 50000)
    must("only rows in sight are drawn", 5 < rows < 60)
    must("scrolling goes at ten frames a second or more", statistics.median(frames) < 100)


def check_narrow(browser, report, dark):
    reader = Reader(browser, report, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True,
                    color_scheme="dark" if dark else "light")
    page = reader.page
    equal("nothing wider than the phone", page.evaluate("document.documentElement.scrollWidth"), 390)
    reader.search("tuned/q0021")
    boxes = [page.locator(".side").nth(i).bounding_box() for i in range(2)]
    must("boxes stand below each other", boxes[1]["y"] >= boxes[0]["y"] + boxes[0]["height"] - 1)
    must("and fit", all(0 <= b["x"] and b["x"] + b["width"] <= 390 for b in boxes))
    low = page.evaluate("""() => {
        const light = c => { const [r, g, b] = c.map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
            return .2126 * r + .7152 * g + .0722 * b; };
        const rgb = text => text.match(/[\\d.]+/g).map(Number);
        const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
            if (c.length < 4 || c[3] === 1) return c.slice(0, 3); } return [255, 255, 255]; };
        return [...document.querySelectorAll('#browser *, .table *, .moved *')].filter(e => e.childElementCount === 0 && e.innerText?.trim())
            .filter(e => !e.disabled && !e.closest(':disabled')).map(e => { const a = light(rgb(getComputedStyle(e).color).slice(0, 3)), b = light(behind(e));
                return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.className + ': ' + e.innerText.slice(0, 30)]; })
            .filter(pair => pair[0] < 4.5).slice(0, 5);
    }""")
    equal("texts of less than 4.5 to 1 contrast", low, [])
    reader.close()


def check_tokens(browser, report):
    reader = Reader(browser, report)
    page = reader.page
    page.locator("[aria-label='colours of tokens']").select_option(index=1)
    must("tokens are coloured", page.locator(".side .tokens .pos, .side .tokens .neg").count() > 3)
    must("with a legend", "lowers" in reader.text(".side .legend") and "raises" in reader.text(".side .legend"))
    page.focus(".side .tokens >> nth=0")
    reader.key("ArrowRight")
    reader.key("ArrowRight")
    must("the keyboard reads a token", reader.text(".side .readout >> nth=0").startswith("Token 2 of "))
    lowering = page.locator(".side .tokens .neg")
    if lowering.count():
        must("what lowers is underlined too", "underline" in lowering.first.evaluate("e => getComputedStyle(e).textDecorationLine"))
    reader.close()


def main():
    pyrite, chromium, recipe, folder = sys.argv[1:]
    folder = Path(folder)
    pyrite = Path(pyrite).resolve()
    make_answers(folder)
    make_judgments(folder)
    arguments = [pyrite, "score", "--labels", folder / "labels.csv", "-o", folder / "judgments.jsonl", "--resamples", "200",
                 "--suite", "refusal", "--format", "html", "--out", folder / "scores"]
    for policy in POLICIES:
        arguments += ["-o", "%s=%s" % (policy, folder / (policy + ".jsonl"))]
    print("pyrite score: %.1f s" % run(*arguments))
    run(pyrite, "run", recipe, "--out", folder / "run")
    report = folder / "scores/report/report.html"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND"])
        reader = Reader(browser, report, viewport={"width": 1280, "height": 900})
        for check in [check_filters, check_search, check_detail, check_keys, check_hostile, check_links]:
            check(reader)
        check_speed(reader, report)
        reader.close()
        for dark in [False, True]:
            check_narrow(browser, report, dark)
        check_tokens(browser, folder / "run/report/report.html")
        browser.close()
    print("page: filters, search, sides, keys, links, hostile texts, phone, dark and token rewards are as expected")


main()
