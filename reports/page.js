(function () {
    "use strict";
    var holder = document.getElementById("browser"), source = document.getElementById("data");
    if (!holder || !source) return;
    var data = JSON.parse(source.textContent), flags = [[1, "refused"], [2, "wrong"], [4, "approved"]];
    var shown = [], current = 0, PAGE = 60;

    function make(tag, parent, text, name) {
        var element = document.createElement(tag);
        if (text !== undefined) element.textContent = text;
        if (name) element.className = name;
        if (parent) parent.appendChild(element);
        return element;
    }

    /* An answer as an object; rows are short so that thousands fit. */
    var answers = data.answers.map(function (row) {
        var prompt = data.prompts[row[0]];
        return {
            prompt: row[0], policy: row[1], seed: row[2], flags: row[3], tokens: row[4], cut: row[5], text: row[6],
            verdicts: row[7], section: prompt[0], split: prompt[1], category: prompt[2], asked: prompt[4]
        };
    });
    var byPlace = {};
    answers.forEach(function (answer) { byPlace[[answer.prompt, answer.seed, answer.policy]] = answer; });
    var before = data.policies.indexOf("sft");

    var filters = make("div", holder, undefined, "filters"), controls = {};
    function choice(key, title, names) {
        if (names.length < 1) return;
        var label = make("label", filters, title), select = make("select", label);
        make("option", select, "all").value = "";
        names.forEach(function (name) {
            var option = make("option", select, name[1]);
            option.value = name[0];
        });
        select.addEventListener("change", apply);
        controls[key] = select;
    }
    function numbered(names) { return names.map(function (name, i) { return [i, name]; }); }
    function present(key) {
        var seen = {};
        answers.forEach(function (answer) { seen[answer[key]] = true; });
        return seen;
    }
    var seeds = Object.keys(present("seed")).sort(function (a, b) { return a - b; });
    var policies = present("policy");
    choice("section", "Task", numbered(data.sections));
    choice("policy", "Policy", numbered(data.policies).filter(function (pair) { return policies[pair[0]]; }));
    choice("seed", "Seed", seeds.map(function (seed) { return [seed, seed]; }));
    choice("split", "Split", numbered(data.splits));
    choice("category", "Category", numbered(data.categories));
    choice("flags", "Outcome", flags);
    var searchLabel = make("label", filters, "Search"), search = make("input", searchLabel);
    search.type = "search";
    search.placeholder = "prompt or response";
    var waiting;
    search.addEventListener("input", function () { clearTimeout(waiting); waiting = setTimeout(apply, 120); });

    var pager = make("div", holder, undefined, "pager");
    var previous = make("button", pager, "‹"), next = make("button", pager, "›"), count = make("span", pager);
    previous.setAttribute("aria-label", "previous sample");
    next.setAttribute("aria-label", "next sample");
    previous.addEventListener("click", function () { go(current - 1); });
    next.addEventListener("click", function () { go(current + 1); });
    count.setAttribute("aria-live", "polite");
    var panes = make("div", holder, undefined, "panes"), list = make("ul", panes, undefined, "list");
    var detail = make("div", panes);
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "samples");
    list.tabIndex = 0;

    function matches(answer, words) {
        var wanted = controls, text;
        if (wanted.flags.value && !(answer.flags & wanted.flags.value)) return false;
        if (["section", "policy", "seed", "split", "category"].some(function (key) {
            return wanted[key] && wanted[key].value !== "" && String(answer[key]) !== wanted[key].value;
        })) return false;
        if (!words.length) return true;
        text = (answer.asked + "\n" + answer.text).toLowerCase();
        return words.every(function (word) { return text.indexOf(word) >= 0; });
    }

    function apply() {
        var words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
        shown = answers.filter(function (answer) { return matches(answer, words); });
        go(0);
    }

    function badges(parent, answer) {
        flags.forEach(function (flag) { if (answer.flags & flag[0]) make("span", parent, flag[1], "badge " + flag[1]); });
        if (answer.cut) make("span", parent, "cut", "badge");
    }

    function showList() {
        var first = Math.floor(current / PAGE) * PAGE;
        list.textContent = "";
        shown.slice(first, first + PAGE).forEach(function (answer, i) {
            var item = make("li", list), line;
            item.setAttribute("role", "option");
            item.setAttribute("aria-selected", String(first + i === current));
            make("div", item, answer.asked.replace(/\s+/g, " ").slice(0, 90));
            line = make("small", item, data.policies[answer.policy] + " · seed " + answer.seed);
            badges(line, answer);
            item.addEventListener("click", function () { go(first + i); });
        });
        var chosen = list.children[current - first];
        if (chosen) list.scrollTop = Math.max(0, chosen.offsetTop - list.offsetTop - list.clientHeight / 3);
    }

    function side(parent, answer) {
        var box = make("article", parent, undefined, "side"), head = make("h4", box, data.policies[answer.policy]);
        badges(head, answer);
        make("p", box, answer.text === "" ? "(empty)" : answer.text);
        make("footer", box, answer.tokens + " tokens" + (answer.verdicts ? " · " + answer.verdicts : ""));
    }

    function showDetail() {
        var answer = shown[current], prompt, sides, reference;
        detail.textContent = "";
        if (!answer) { make("p", detail, "No sample passes these filters."); return; }
        prompt = data.prompts[answer.prompt];
        make("div", detail, [data.sections[prompt[0]], data.splits[prompt[1]], data.categories[prompt[2]],
            "seed " + answer.seed, prompt[3]].filter(Boolean).join(" · "), "where");
        make("p", detail, prompt[4], "asked");
        sides = make("div", detail, undefined, "sides");
        reference = byPlace[[answer.prompt, answer.seed, before]];
        if (reference && reference !== answer) side(sides, reference);
        side(sides, answer);
    }

    function go(index) {
        current = Math.max(0, Math.min(index, shown.length - 1));
        count.textContent = shown.length ? current + 1 + " of " + shown.length : "none";
        previous.disabled = current <= 0;
        next.disabled = current >= shown.length - 1;
        showList();
        showDetail();
    }

    document.addEventListener("keydown", function (event) {
        var inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName), inList = event.target === list;
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        if (event.key === "Escape" && inField) { event.target.blur(); return; }
        if (inField) return;
        if (event.key === "j" || (inList && event.key === "ArrowDown")) go(current + 1);
        else if (event.key === "k" || (inList && event.key === "ArrowUp")) go(current - 1);
        else if (event.key === "/") search.focus();
        else return;
        event.preventDefault();
    });

    var trained = data.policies.findIndex(function (name, i) { return policies[i] && name !== "sft"; });
    if (trained >= 0) controls.policy.value = trained;
    apply();
})();
