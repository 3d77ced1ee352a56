/* The sample browser: the frame around filters, list and boxes; links and keys. */
function browse(holder, data) {
    var records = readRecords(data), answers = records.answers, view = {replies: false, rewards: ""};
    var shown = [], current = 0, keysOn = true, linkTimer = 0;
    var manySeeds = answers.some(function (answer) { return answer.seed !== answers[0].seed; });
    var boxes = makeBoxes(data, records, view);

    /* ---- the frame ---- */

    var choices = make("div", holder, undefined, "filters"), pager = make("div", holder, undefined, "pager");
    var previous = makeButton("‹", "previous sample", function () { go(current - 1); });
    var next = makeButton("›", "next sample", function () { go(current + 1); });
    var count = make("span", pager);
    makeButton("Clear filters", undefined, function () { filters.clear(); apply(); });
    makeButton("?", "keys and help", function () { help.showModal(); });
    var filters = makeFilters(choices, make("div", pager, undefined, "search"), data, records, apply);
    var panes = make("div", holder, undefined, "panes");
    var list = makeList(panes, "samples", fillRow, function (i) { go(i); });
    var detail = make("div", panes, undefined, "detail");
    var where = make("div", detail, undefined, "where"), asked = makeQuoted("p", detail, "", "asked");
    var tools = make("div", detail, undefined, "tools"), sides = make("div", detail, undefined, "sides");
    choices.setAttribute("role", "search");
    choices.setAttribute("aria-label", "samples");
    count.setAttribute("role", "status");
    asked.tabIndex = 0;

    function makeButton(text, title, act) {
        var button = make("button", pager, text);
        if (title) button.setAttribute("aria-label", title);
        button.addEventListener("click", act);
        return button;
    }

    function addTool(tag, title) {
        var label = make("label", tools), element = make(tag, label);
        label.appendChild(document.createTextNode(title));
        if (tag === "input") element.type = "checkbox";
        element.addEventListener("change", showDetail);
        return element;
    }

    function addChoices(select, title, items) {
        select.setAttribute("aria-label", title);
        items.forEach(function (item) { make("option", select, item[1]).value = item[0]; });
    }

    var beside = addTool("select", ""), marks = addTool("input", "differing words");
    var replies = addTool("input", "raw replies"), rewards = addTool("select", "");
    marks.checked = true;
    addChoices(beside, "shown beside", [["baseline", "beside the baseline"], ["alone", "alone"], ["all", "beside all policies"]]
        .concat(data.policies.map(function (name) { return ["policy " + name, "beside " + name]; })));
    addChoices(rewards, "colours of tokens", [["", "no token rewards"]]
        .concat(Array.from(new Set(data.maps.map(function (row) { return row[1]; })))
            .map(function (name) { return [name, "token rewards of " + name]; })));
    rewards.parentNode.hidden = !data.maps.length;

    /* ---- what is shown ---- */

    function fillRow(row, i) {
        var answer = shown[i], line;
        makeQuoted("div", row, boxes.textOf(answer.asked).slice(0, 160).replace(/\s+/g, " ") || "(no prompt)");
        line = make("small", row);
        makeQuoted("bdi", line, data.policies[answer.policy] + (manySeeds ? " · seed " + answer.seed : ""));
        boxes.addBadges(line, answer);
    }

    /* The first answer that a judge compared it with. */
    function opponent(answer) {
        var pair = answer.verdicts.filter(function (v) { return typeof v.other === "number"; })[0];
        return pair ? answers[pair.other] : null;
    }

    /* Whom the answer stands beside, itself among them, the baseline first. */
    function company(answer) {
        var group = records.byPrompt[answer.prompt], baseline = data.baselines[answer.section], wanted = baseline, other;
        if (beside.value === "alone") return [answer];
        if (beside.value === "all")
            return group.filter(function (one) { return answerBy(records, answer, one.policy) === one; });
        if (beside.value !== "baseline") wanted = data.policies.indexOf(beside.value.slice(7));
        else if (answer.policy === baseline)
            wanted = group.map(function (one) { return one.policy; }).filter(function (policy) { return policy !== baseline; })[0];
        other = answerBy(records, answer, wanted) || (beside.value === "baseline" && opponent(answer));
        if (!other || other === answer) return [answer];
        return answer.policy === baseline ? [answer, other] : [other, answer];
    }

    function showWhere(answer) {
        where.textContent = [data.sections[answer.section], data.splits[answer.split], data.categories[answer.category],
            manySeeds ? "seed " + answer.seed : "", data.prompts[answer.prompt][4]].filter(Boolean).join(" · ") + " · ";
        make("a", where, "link to this sample").href = "#" + linkOf(answer, false);
    }

    function showDetail() {
        var answer = shown[current], group, pieces = null;
        sides.textContent = "";
        asked.hidden = tools.hidden = !answer;
        if (!answer) {
            where.textContent = "No sample passes these filters.";
            return;
        }
        view.replies = replies.checked;
        view.rewards = rewards.value;
        group = company(answer);
        showWhere(answer);
        asked.textContent = boxes.textOf(answer.asked) || "(no prompt)";
        if (marks.checked && group.length === 2)
            pieces = differences(boxes.textOf(group[0].text), boxes.textOf(group[1].text));
        group.forEach(function (one, i) { boxes.add(sides, one, pieces && pieces[i], i ? "ins" : "del"); });
    }

    /* quiet: the address stays as it is. */
    function go(index, quiet) {
        current = Math.max(0, Math.min(index, shown.length - 1));
        count.textContent = shown.length ? (current + 1).toLocaleString("en") + " of " + shown.length.toLocaleString("en") : "none";
        previous.disabled = current <= 0;
        next.disabled = current >= shown.length - 1;
        list.show(shown.length, current);
        showDetail();
        if (!quiet) rememberPlace();
    }

    function apply() {
        shown = filters.pass();
        go(0);
    }

    /* ---- links: the sample and the filters that were chosen ---- */

    function linkOf(answer, filtered) {
        var parts = new URLSearchParams();
        parts.set("sample", answer.id);
        if (data.sections.length > 1) parts.set("in", data.sections[answer.section]);
        if (filtered) filters.write(parts);
        return parts.toString();
    }

    /* Not at every step: browsers stop pages that change their address often. */
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

    /* Shows what the address asks for, without the filters if they hide it; false where it asks for no sample. */
    function followLink() {
        var parts = new URLSearchParams(location.hash.slice(1)), answer = findLinked(parts);
        if (!parts.has("sample")) return false;
        filters.read(parts);
        shown = filters.pass();
        if (answer && shown.indexOf(answer) < 0) {
            filters.clear();
            shown = filters.pass();
        }
        go(answer ? shown.indexOf(answer) : 0, true);
        if (!answer) count.textContent = "The sample " + parts.get("sample") + " is not in this page.";
        holder.scrollIntoView();
        return true;
    }

    /* ---- keys ---- */

    /* To the next sample of another prompt, in a direction. */
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
        ["/", "search", function () { filters.search.select(); }],
        ["b", "what stands beside: the baseline, nothing, all, each policy", function () { cycle(beside); }],
        ["d", "mark the words that differ", function () { flip(marks); }],
        ["r", "open the judges' raw replies", function () { flip(replies); }],
        ["t", "token rewards as colours, where there are some", function () { if (data.maps.length) cycle(rewards); }],
        ["x", "clear the filters", function () { filters.clear(); apply(); }],
        ["?", "this list", function () { help.showModal(); }]
    ];
    var MORE_KEYS = [["↑ ↓ PgUp PgDn Home End", "in the list"], ["← →", "in coloured tokens: their rewards"], ["Esc", "leave a field"]];
    var LIST_KEYS = {
        ArrowDown: function () { go(current + 1); }, ArrowUp: function () { go(current - 1); },
        Home: function () { go(0); }, End: function () { go(shown.length - 1); },
        PageDown: function () { go(current + list.page()); }, PageUp: function () { go(current - list.page()); }
    };

    function makeHelp() {
        var dialog = make("dialog", holder), table, letters;
        dialog.setAttribute("aria-label", "keys");
        make("h3", dialog, "Keys");
        table = make("table", dialog);
        KEYS.concat(MORE_KEYS).forEach(function (key) {
            var row = make("tr", table);
            make("kbd", make("th", row), key[0]);
            make("td", row, key[1]);
        });
        letters = make("input", make("label", dialog, "single letters are keys "));
        letters.type = "checkbox";
        letters.checked = true;
        letters.addEventListener("change", function () { keysOn = letters.checked; });
        make("button", dialog, "Close").addEventListener("click", function () { dialog.close(); });
        return dialog;
    }

    function isPlain(event) { return !event.ctrlKey && !event.metaKey && !event.altKey; }

    var help = makeHelp();
    list.element.addEventListener("keydown", function (event) {
        if (!LIST_KEYS[event.key] || !isPlain(event)) return;
        LIST_KEYS[event.key]();
        event.preventDefault();
    });
    document.addEventListener("keydown", function (event) {
        var inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox";
        var key = KEYS.filter(function (one) { return one[0] === event.key; })[0];
        if (!isPlain(event) || help.open) return;
        if (event.key === "Escape" && inField) event.target.blur();
        if (inField || !keysOn || !key) return;
        key[2]();
        event.preventDefault();
    });
    window.addEventListener("hashchange", followLink);

    /* At first a policy under test, beside its baseline. */
    function start() {
        var tested = data.policies.filter(function (name, i) { return data.baselines.indexOf(i) < 0 && name.indexOf("null-") !== 0; });
        if (followLink()) return;
        filters.read(new URLSearchParams(tested.length ? {policy: tested[0]} : {}));
        shown = filters.pass();
        go(0, true);
    }

    start();
    (window.requestIdleCallback || setTimeout)(filters.prepareSearch);
}

var holder = document.getElementById("browser"), source = document.getElementById("data");
if (holder && source) browse(holder, JSON.parse(source.textContent));
