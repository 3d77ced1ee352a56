/* Filters and search over the answers: each control knows which answers its chosen item lets pass, and the search
   asks for all words, or a "quoted phrase", in prompt, response, reason, raw reply or id. */
var WAIT = 80; /* milliseconds from the last key to the search */
var KEPT = 16; /* searched words that are remembered */

/* Puts the controls into `holder`, the search into `searchHolder`; `changed` is called when a choice has changed. */
function makeFilters(holder, searchHolder, data, records, changed) {
    var answers = records.answers, controls = [], judgment = null, lowered = null, found = new Map(), timer = 0;

    /* items: [name, passes(answer)]; nothing is made where there is no choice. */
    function addControl(key, title, items) {
        var label, select;
        if (items.length < 1) return;
        label = make("label", holder, title);
        select = make("select", label);
        make("option", select, "all").value = "";
        items.forEach(function (item) {
            var count = answers.filter(item[1]).length;
            make("option", select, item[0] + " (" + count.toLocaleString("en") + ")").value = item[0];
        });
        select.addEventListener("change", changed);
        controls.push({key: key, select: select, items: items});
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
        items.push(["with token rewards", function (answer) { return answer.maps.length > 0; }]);
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

    var search = make("input", make("label", searchHolder, "Search"));
    search.type = "search";
    search.placeholder = "words or \"a phrase\"";
    search.addEventListener("input", function () {
        clearTimeout(timer);
        timer = setTimeout(changed, WAIT);
    });

    search.addEventListener("keydown", function (event) {
        if (event.key === "Enter") changed();
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

    function clear() {
        controls.forEach(function (control) { control.select.value = ""; });
        search.value = "";
    }

    /* The answers that pass. */
    function pass() {
        var tests = controls.map(function (control) { return chosen(control.key); }).filter(Boolean);
        var words = soughtWords(), hits = words.map(placesWith);
        clearTimeout(timer);
        judgment = chosen("judgment");
        return answers.filter(function (answer) {
            return tests.every(function (item) { return item[1](answer); }) &&
                hits.every(function (hit, i) { return holds(answer, hit, words[i]); });
        });
    }

    /* What is chosen, into and from the parts of an address; a name that is no item here is left out. */
    function write(parts) {
        controls.forEach(function (control) { if (control.select.value) parts.set(control.key, control.select.value); });
        if (search.value) parts.set("search", search.value);
    }

    function read(parts) {
        controls.forEach(function (control) {
            control.select.value = parts.get(control.key) || "";
            if (control.select.selectedIndex < 0) control.select.value = "";
        });
        search.value = parts.get("search") || "";
    }

    return {clear: clear, pass: pass, write: write, read: read, search: search, prepareSearch: prepareSearch};
}
