/* The sample browser: filters and search, a list that draws only the rows in sight, answers side by side with what
   judges said of them, keys, links. Texts of models enter the page as text content alone. */
var ROW = 54;      /* pixels of a list's row, as in page.css */
var SPARE = 6;     /* rows drawn beyond the edges */
var WAIT = 80;     /* milliseconds from the last key to the search */
var KEPT = 16;     /* searched words that are remembered */

function make(tag, parent, text, name) {
    var element = document.createElement(tag);
    if (text !== undefined && text !== null) element.textContent = text;
    if (name) element.className = name;
    if (parent) parent.appendChild(element);
    return element;
}

/* A text that somebody else wrote: its own direction, kept from its neighbours. */
function makeQuoted(tag, parent, text, name) {
    var element = make(tag, parent, text, name);
    element.dir = "auto";
    return element;
}

function browse(holder, data) {
    var records = readRecords(data), answers = records.answers;
    var shown = [], current = 0, controls = [], judgment = null, keysOn = true, linkTimer = 0, searchTimer = 0;
    var manySeeds = answers.some(function (answer) { return answer.seed !== answers[0].seed; });

    function textOf(place) { return place < 0 ? "" : data.texts[place]; }

    /* ---- filters: each control knows which answers its chosen item lets pass ---- */

    var filters = make("div", holder, undefined, "filters");
    filters.setAttribute("role", "search");
    filters.setAttribute("aria-label", "samples");

    /* items: [name, passes(answer)]; nothing is made where there is no choice. */
    function addControl(key, title, items) {
        var label, select, control;
        if (items.length < 1) return;
        label = make("label", filters, title);
        select = make("select", label);
        make("option", select, "all").value = "";
        items.forEach(function (item) {
            var count = answers.filter(item[1]).length;
            make("option", select, item[0] + " (" + count.toLocaleString("en") + ")").value = item[0];
        });
        control = {key: key, select: select, items: items};
        select.addEventListener("change", apply);
        controls.push(control);
    }

    function chosen(key) {
        var control = controls.filter(function (one) { return one.key === key; })[0];
        return control && control.select.selectedIndex > 0 ? control.items[control.select.selectedIndex - 1] : null;
    }

    function byField(field, names) {
        return names.map(function (name, i) {
            return [name, function (answer) { return answer[field] === i; }];
        }).filter(function (item) { return answers.some(item[1]); });
    }

    function choicesOf(items) { return items.length > 1 ? items : []; }

    function seedItems() {
        var seeds = Array.from(new Set(answers.map(function (answer) { return answer.seed; })));
        return seeds.sort(function (a, b) { return a - b; }).map(function (seed) {
            return [String(seed), function (answer) { return answer.seed === seed; }];
        });
    }

    /* Judgments in their order of first appearance: [name, passes, judge, what]. */
    function judgmentItems() {
        var seen = new Map();
        data.verdicts.forEach(function (row) { seen.set(row[2] + " " + row[3], [row[2], row[3]]); });
        return Array.from(seen.values()).map(function (pair) {
            return [data.whats[pair[1]] + " by " + data.judges[pair[0]], function (answer) {
                return answer.verdicts.some(function (v) { return v.judge === pair[0] && v.what === pair[1]; });
            }, pair[0], pair[1]];
        });
    }

    /* The verdict is one of the judgment that was chosen, if one was. */
    function isAsked(verdict) {
        return !judgment || (verdict.judge === judgment[2] && verdict.what === judgment[3]);
    }

    function outcomeItem(name, matches) {
        return [name, function (answer) {
            return answer.verdicts.some(function (v) { return isAsked(v) && matches(v); });
        }];
    }

    function outcomeItems() {
        var items = [];
        data.whats.forEach(function (name, what) {
            if (!records.decisive[what]) return;
            [1, -1].forEach(function (wanted) {
                items.push(outcomeItem(word(name, wanted > 0), function (v) {
                    return v.what === what && v.side === wanted;
                }));
            });
        });
        FAILURES.forEach(function (name, outcome) {
            if (name) items.push(outcomeItem(name, function (v) { return v.outcome === outcome; }));
        });
        items.push(["not judged", function (answer) { return !answer.verdicts.some(isAsked); }]);
        items.push(["cut at the limit", function (answer) { return answer.cut === 1; }]);
        return items.filter(function (item) { return answers.some(item[1]); });
    }

    function apartItems() {
        return [["judges disagree", "judges"], ["orders disagree", "orders"], ["unlike the baseline", "before"]]
            .map(function (pair) {
                return [pair[0], function (answer) { return answer.apart[pair[1]].some(isAsked); }];
            })
            .filter(function (item) { return answers.some(item[1]); });
    }

    addControl("task", "Task", choicesOf(byField("section", data.sections)));
    addControl("policy", "Policy", choicesOf(byField("policy", data.policies)));
    addControl("seed", "Seed", choicesOf(seedItems()));
    addControl("split", "Split", choicesOf(byField("split", data.splits)));
    addControl("category", "Category", choicesOf(byField("category", data.categories)));
    addControl("judgment", "Judgment", judgmentItems());
    addControl("outcome", "Outcome", outcomeItems());
    addControl("apart", "Disagreement", apartItems());

    /* ---- search: all words, or a "quoted phrase", in prompt, response, reason, raw reply or id ---- */

    var searchLabel = make("label", filters, "Search"), search = make("input", searchLabel);
    var lowered = null, found = new Map();
    searchLabel.className = "search";
    search.type = "search";
    search.placeholder = "words or \"a phrase\"";
    search.addEventListener("input", function () {
        clearTimeout(searchTimer);
        searchTimer = setTimeout(apply, WAIT);
    });

    function prepareSearch() {
        if (!lowered) lowered = data.texts.map(function (text) { return text.toLowerCase(); });
    }

    /* Which texts hold the word, 1 or 0 by place. */
    function placesWith(sought) {
        var hits = found.get(sought);
        if (hits) return hits;
        prepareSearch();
        hits = new Uint8Array(lowered.length);
        lowered.forEach(function (text, i) { if (text.indexOf(sought) >= 0) hits[i] = 1; });
        if (found.size >= KEPT) found.delete(found.keys().next().value);
        found.set(sought, hits);
        return hits;
    }

    function soughtWords() {
        var words = [];
        search.value.toLowerCase().replace(/"([^"]+)"|(\S+)/g, function (all, phrase, single) {
            words.push(phrase || single);
        });
        return words;
    }

    function holds(answer, hits, sought) {
        return hits[answer.asked] || hits[answer.text] || answer.id.toLowerCase().indexOf(sought) >= 0 ||
            answer.verdicts.some(function (v) { return hits[v.reason] || hits[v.raw]; });
    }

    /* ---- the frame: buttons, list, detail ---- */

    var pager = make("div", holder, undefined, "pager");
    var previous = make("button", pager, "‹"), next = make("button", pager, "›"), count = make("span", pager);
    var clear = make("button", pager, "Clear filters"), ask = make("button", pager, "?");
    var panes = make("div", holder, undefined, "panes"), list = make("div", panes, undefined, "list");
    var runway = make("div", list, undefined, "runway"), detail = make("div", panes, undefined, "detail");
    var where = make("div", detail, undefined, "where"), asked = makeQuoted("p", detail, "", "asked");
    var tools = make("div", detail, undefined, "tools"), sides = make("div", detail, undefined, "sides");
    previous.setAttribute("aria-label", "previous sample");
    next.setAttribute("aria-label", "next sample");
    ask.setAttribute("aria-label", "keys and help");
    count.setAttribute("role", "status");
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "samples");
    list.tabIndex = 0;
    runway.setAttribute("role", "none");
    asked.tabIndex = 0;
    previous.addEventListener("click", function () { go(current - 1); });
    next.addEventListener("click", function () { go(current + 1); });
    clear.addEventListener("click", function () { clearFilters(); apply(); });

    function addTool(tag, title) {
        var label = make("label", tools), element = make(tag, label);
        label.appendChild(document.createTextNode(title));
        if (tag === "input") element.type = "checkbox";
        element.addEventListener("change", showDetail);
        return element;
    }

    var beside = addTool("select", ""), marks = addTool("input", "differing words"), replies = addTool("input", "raw replies");
    var rewards = addTool("select", "");
    beside.setAttribute("aria-label", "shown beside");
    rewards.setAttribute("aria-label", "colours of tokens");
    marks.checked = true;
    [["baseline", "beside the baseline"], ["alone", "alone"], ["all", "beside all policies"]].forEach(function (pair) {
        make("option", beside, pair[1]).value = pair[0];
    });
    data.policies.forEach(function (name) { make("option", beside, "beside " + name).value = "policy " + name; });
    make("option", rewards, "no token rewards").value = "";
    Array.from(new Set(data.maps.map(function (row) { return row[1]; }))).forEach(function (name) {
        make("option", rewards, "token rewards of " + name).value = name;
    });
    rewards.parentNode.hidden = !data.maps.length;

    /* ---- the list: a runway of full height, rows in sight placed on it ---- */

    function badgesOf(answer) {
        var names = [];
        answer.verdicts.forEach(function (v) {
            var what = data.whats[v.what], yes = v.side > 0;
            if (v.outcome > 1) names.push(FAILURES[v.outcome]);
            else if (WORDS[what] && v.side && (yes ? what !== "correct" : what === "correct" || what === "preference"))
                names.push(word(what, yes));
        });
        if (answer.apart.judges.length) names.push("judges ≠");
        if (answer.apart.orders.length) names.push("orders ≠");
        if (answer.apart.before.length) names.push("≠ baseline");
        if (answer.cut) names.push("cut");
        return Array.from(new Set(names));
    }

    function addBadges(parent, answer) {
        badgesOf(answer).forEach(function (name) {
            var tone = /^(refused|wrong|loses)$/.test(name) ? " worse" : /^(approved|wins)$/.test(name) ? " better" : "";
            make("span", parent, name, "badge" + tone);
        });
    }

    function makeRow(i) {
        var answer = shown[i], row = make("div", undefined, undefined, "row"), line;
        row.setAttribute("role", "option");
        row.setAttribute("aria-selected", String(i === current));
        row.setAttribute("aria-setsize", shown.length);
        row.setAttribute("aria-posinset", i + 1);
        row.id = "row-" + i;
        row.style.top = i * ROW + "px";
        makeQuoted("div", row, textOf(answer.asked).slice(0, 160).replace(/\s+/g, " ") || "(no prompt)");
        line = make("small", row, data.policies[answer.policy] + (manySeeds ? " · seed " + answer.seed : ""));
        addBadges(line, answer);
        row.addEventListener("click", function () { go(i); });
        return row;
    }

    var drawn = [0, 0];
    function drawRows(anew) {
        var first = Math.max(0, Math.floor(list.scrollTop / ROW) - SPARE);
        var last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + SPARE), rows = [];
        if (!anew && drawn[0] === first && drawn[1] === last) return;
        for (var i = first; i < last; i++) rows.push(makeRow(i));
        runway.replaceChildren.apply(runway, rows);
        drawn = [first, last];
    }

    var waiting = false;
    list.addEventListener("scroll", function () {
        if (waiting) return;
        waiting = true;
        requestAnimationFrame(function () { waiting = false; drawRows(false); });
    }, {passive: true});
    window.addEventListener("resize", function () { drawRows(false); });

    function showList() {
        var top = current * ROW, height = list.clientHeight;
        runway.style.height = shown.length * ROW + "px";
        if (top < list.scrollTop) list.scrollTop = top;
        else if (top + ROW > list.scrollTop + height) list.scrollTop = top + ROW - height;
        drawRows(true);
        if (shown.length) list.setAttribute("aria-activedescendant", "row-" + current);
        else list.removeAttribute("aria-activedescendant");
    }

    /* ---- what judges said ---- */

    function scoreText(v) {
        var name = data.whats[v.what], text = v.score === 0.5 ? "0.500" : String(v.score);
        if (v.outcome) return FAILURES[v.outcome];
        if (v.score === null) return "no score";
        if (!records.decisive[v.what] || !v.side) return text;
        return word(name, v.side > 0) + (v.score === 0 || v.score === 1 ? "" : " (" + text + ")");
    }

    function opponentText(v) {
        var order = ["", ", shown first", ", shown second"][v.order] || "";
        if (v.other === null) return order;
        return " against " + (typeof v.other === "number" ? data.policies[answers[v.other].policy] : v.other) + order;
    }

    function addVerdict(parent, v) {
        var item = make("li", parent), reply;
        make("span", item, data.whats[v.what] + " by " + data.judges[v.judge] + ": ");
        make("b", item, scoreText(v));
        make("span", item, opponentText(v));
        if (v.reason >= 0) makeQuoted("q", item, textOf(v.reason));
        if (v.raw < 0) return;
        reply = make("details", item);
        reply.open = replies.checked;
        make("summary", reply, "raw reply");
        makeQuoted("pre", reply, textOf(v.raw) || "(empty)").tabIndex = 0;
    }

    /* ---- token rewards: colour, underline for what lowers, the number under pointer or arrow keys ---- */

    function addLegend(parent, most) {
        var legend = make("p", parent, undefined, "key legend");
        make("span", legend, "lowers ");
        [-1, -0.5, 0, 0.5, 1].forEach(function (share) {
            var swatch = make("span", legend, share === 0 ? "0" : (share < 0 ? "−" : "+") + (Math.abs(share) === 1 ? most : "½"),
                "swatch " + (share < 0 ? "neg" : "pos"));
            swatch.style.setProperty("--w", Math.abs(share));
        });
        make("span", legend, " raises");
    }

    function addTokens(parent, map) {
        var numbers = map.rewards.map(numberOf), sizes = numbers.map(Math.abs), at = -1;
        var most = Math.max.apply(null, sizes), text = makeQuoted("p", parent, undefined, "tokens"), readout;
        addLegend(parent, map.rewards[sizes.indexOf(most)].replace("−", ""));
        readout = make("p", parent, "Point at a token, or use ← and → in the text, to read its reward.", "key readout");
        readout.setAttribute("aria-live", "polite");
        text.tabIndex = 0;
        text.setAttribute("role", "group");
        text.setAttribute("aria-label", "tokens with rewards of " + map.reward);
        function read(i) {
            if (i < 0 || i >= text.children.length) return;
            if (at >= 0) text.children[at].classList.remove("at");
            at = i;
            text.children[at].classList.add("at");
            readout.textContent = "Token " + (i + 1) + " of " + map.tokens.length + ", “" + map.tokens[i] + "”: " + map.rewards[i];
        }
        map.tokens.forEach(function (token, i) {
            var span = make("span", text, token, numbers[i] < 0 ? "neg" : "pos");
            span.style.setProperty("--w", most > 0 ? (sizes[i] / most).toFixed(2) : 0);
            span.addEventListener("pointerenter", function () { read(i); });
        });
        text.addEventListener("keydown", function (event) {
            if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
            read(at + (event.key === "ArrowRight" ? 1 : -1));
            event.preventDefault();
        });
    }

    /* ---- the detail: one box an answer ---- */

    function addMarked(parent, pieces, tag) {
        var text = makeQuoted("p", parent, undefined, "said");
        pieces.forEach(function (piece) {
            if (piece[1]) text.appendChild(document.createTextNode(piece[0]));
            else make(tag, text, piece[0]);
        });
    }

    function addBox(answer, pieces, tag) {
        var box = make("article", sides, undefined, "side"), head = make("h4", box), verdicts;
        var map = answer.maps.filter(function (one) { return one.reward === rewards.value; })[0];
        makeQuoted("bdi", head, data.policies[answer.policy]);
        if (answer.policy === data.baselines[answer.section]) make("small", head, " baseline");
        addBadges(head, answer);
        if (map) addTokens(box, map);
        else if (pieces) addMarked(box, pieces, tag);
        else makeQuoted("p", box, textOf(answer.text) || "(empty)", "said");
        if (rewards.value && !map) make("p", box, "No token rewards of " + rewards.value + " for this answer.", "key");
        verdicts = make("ul", box, undefined, "verdicts");
        answer.verdicts.forEach(function (v) { addVerdict(verdicts, v); });
        make("footer", box, answer.tokens + (answer.tokens === 1 ? " token" : " tokens") + (answer.cut ? ", cut at the limit" : ""));
    }

    /* Whom the answer stands beside, itself among them, the earlier one first. */
    function company(answer) {
        var group = records.byPrompt[answer.prompt], wanted = data.baselines[answer.section], other;
        if (beside.value === "alone") return [answer];
        if (beside.value === "all")
            return group.filter(function (one) { return one.seed === answer.seed || answerBy(records, answer, one.policy) === one; });
        if (beside.value !== "baseline") wanted = data.policies.indexOf(beside.value.slice(7));
        other = answerBy(records, answer, wanted);
        if (other === answer && beside.value === "baseline")
            other = group.filter(function (one) { return one.policy !== wanted && one.seed === answer.seed; })[0];
        if (!other || other === answer) return [answer];
        return answer.policy === data.baselines[answer.section] ? [answer, other] : [other, answer];
    }

    function showWhere(answer) {
        var prompt = data.prompts[answer.prompt], link;
        where.textContent = [data.sections[answer.section], data.splits[answer.split], data.categories[answer.category],
            manySeeds ? "seed " + answer.seed : "", prompt[4]].filter(Boolean).join(" · ") + " · ";
        link = make("a", where, "link to this sample");
        link.href = "#" + linkOf(answer, false);
    }

    function showDetail() {
        var answer = shown[current], group, pieces = null;
        sides.textContent = "";
        asked.hidden = tools.hidden = !answer;
        if (!answer) {
            where.textContent = "No sample passes these filters.";
            return;
        }
        group = company(answer);
        showWhere(answer);
        asked.textContent = textOf(answer.asked) || "(no prompt)";
        if (marks.checked && group.length === 2) pieces = differences(textOf(group[0].text), textOf(group[1].text));
        group.forEach(function (one, i) { addBox(one, pieces && pieces[i], i ? "ins" : "del"); });
    }

    /* ---- links: the sample and the filters that were chosen ---- */

    function linkOf(answer, filtered) {
        var parts = new URLSearchParams();
        parts.set("sample", answer.id);
        if (data.sections.length > 1) parts.set("in", data.sections[answer.section]);
        if (filtered) {
            controls.forEach(function (control) { if (control.select.value) parts.set(control.key, control.select.value); });
            if (search.value) parts.set("search", search.value);
        }
        return parts.toString();
    }

    function rememberPlace() {
        clearTimeout(linkTimer);
        linkTimer = setTimeout(function () {
            if (shown[current]) history.replaceState(null, "", "#" + linkOf(shown[current], true));
        }, 400);
    }

    function findLinked(parts) {
        var id = parts.get("sample"), section = parts.get("in");
        var names = section ? [section] : data.sections;
        return names.map(function (name) { return records.byId.get(name + "\n" + id); }).filter(Boolean)[0];
    }

    /* What the address asks for; 0 where it asks nothing of the browser. */
    function followLink() {
        var parts = new URLSearchParams(location.hash.slice(1)), answer = findLinked(parts);
        if (!parts.has("sample")) return 0;
        clearFilters();
        controls.forEach(function (control) {
            control.select.value = parts.get(control.key) || "";
            if (control.select.selectedIndex < 0) control.select.value = "";
        });
        search.value = parts.get("search") || "";
        filter();
        if (answer && shown.indexOf(answer) < 0) {
            clearFilters();
            filter();
        }
        go(answer ? shown.indexOf(answer) : 0, true);
        if (!answer) count.textContent = "The sample " + parts.get("sample") + " is not in this page.";
        holder.scrollIntoView();
        return 1;
    }

    /* ---- what the reader does ---- */

    function clearFilters() {
        controls.forEach(function (control) { control.select.value = ""; });
        search.value = "";
    }

    function filter() {
        var tests = controls.map(function (control) { return chosen(control.key); }).filter(Boolean);
        var words = soughtWords(), hits = words.map(placesWith);
        clearTimeout(searchTimer);
        judgment = chosen("judgment");
        shown = answers.filter(function (answer) {
            return tests.every(function (item) { return item[1](answer); }) &&
                hits.every(function (hit, i) { return holds(answer, hit, words[i]); });
        });
    }

    function apply() {
        filter();
        list.scrollTop = 0;
        go(0);
    }

    /* quiet: the address stays as it is. */
    function go(index, quiet) {
        current = Math.max(0, Math.min(index, shown.length - 1));
        count.textContent = shown.length ? (current + 1).toLocaleString("en") + " of " + shown.length.toLocaleString("en") : "none";
        previous.disabled = current <= 0;
        next.disabled = current >= shown.length - 1;
        showList();
        showDetail();
        if (!quiet) rememberPlace();
    }

    /* The next sample of another prompt, in a direction. */
    function goPrompt(step) {
        var index = current;
        while (shown[index] && shown[index].prompt === shown[current].prompt) index += step;
        if (shown[index]) go(index);
    }

    function flip(box) {
        box.checked = !box.checked;
        showDetail();
    }

    function cycle(select) {
        select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
        showDetail();
    }

    var KEYS = [
        ["j", "next sample", function () { go(current + 1); }],
        ["k", "previous sample", function () { go(current - 1); }],
        ["J", "next prompt", function () { goPrompt(1); }],
        ["K", "previous prompt", function () { goPrompt(-1); }],
        ["/", "search", function () { search.focus(); search.select(); }],
        ["b", "what stands beside: baseline, nothing, all, each policy", function () { cycle(beside); }],
        ["d", "mark the words that differ", function () { flip(marks); }],
        ["r", "open the judges' raw replies", function () { flip(replies); }],
        ["t", "token rewards as colours, where there are some", function () { if (data.maps.length) cycle(rewards); }],
        ["x", "clear the filters", function () { clearFilters(); apply(); }],
        ["?", "this list", function () { help.showModal(); }]
    ];
    var LIST_KEYS = {
        ArrowDown: function () { go(current + 1); }, ArrowUp: function () { go(current - 1); },
        Home: function () { go(0); }, End: function () { go(shown.length - 1); },
        PageDown: function () { go(current + Math.floor(list.clientHeight / ROW)); },
        PageUp: function () { go(current - Math.floor(list.clientHeight / ROW)); }
    };

    var help = make("dialog", holder), table, off, close;
    help.setAttribute("aria-label", "keys");
    make("h3", help, "Keys");
    table = make("table", help);
    KEYS.concat([["↑ ↓ PgUp PgDn Home End", "in the list"], ["← →", "in coloured tokens: their rewards"], ["Esc", "leave a field"]])
        .forEach(function (key) {
            var row = make("tr", table);
            make("kbd", make("th", row), key[0]);
            make("td", row, key[1]);
        });
    off = make("input", make("label", help, "single letters are keys "));
    off.type = "checkbox";
    off.checked = true;
    off.addEventListener("change", function () { keysOn = off.checked; });
    close = make("button", help, "Close");
    close.addEventListener("click", function () { help.close(); });
    ask.addEventListener("click", function () { help.showModal(); });

    list.addEventListener("keydown", function (event) {
        if (!LIST_KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
        LIST_KEYS[event.key]();
        event.preventDefault();
    });
    search.addEventListener("keydown", function (event) {
        if (event.key === "Enter") apply();
    });
    document.addEventListener("keydown", function (event) {
        var inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox";
        var key = KEYS.filter(function (one) { return one[0] === event.key; })[0];
        if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
        if (event.key === "Escape" && inField) event.target.blur();
        if (inField || !keysOn || !key) return;
        key[2]();
        event.preventDefault();
    });
    window.addEventListener("hashchange", followLink);

    /* At first the policies under test, each beside its baseline. */
    var trained = data.policies.filter(function (name, i) { return data.baselines.indexOf(i) < 0 && name.indexOf("null-") !== 0; })[0];
    if (!followLink()) {
        controls.forEach(function (control) { if (control.key === "policy" && trained) control.select.value = trained; });
        filter();
        go(0, true);
    }
    (window.requestIdleCallback || setTimeout)(prepareSearch);
}

var holder = document.getElementById("browser"), source = document.getElementById("data");
if (holder && source) browse(holder, JSON.parse(source.textContent));
