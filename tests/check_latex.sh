#!/usr/bin/env bash
# The report as LaTeX: whatever a model says compiles and stays text; without a TeX there is a notice, with a TeX
# that fails its first complaint. What needs a real TeX is skipped where there is none.
. "${srcdir:-.}/tests/program.sh"

# A run whose names, prompts and tokens are hostile; the tokens hold a character of every block up to U+2FFFF.
mkdir -p 'run/steps/evaluate' run/steps/answers
cat >run/manifest.json <<'END'
{"name": "hostile", "title": "100 % \\immediate\\write18{touch pwned} $x_1^2$ & #1 {~} ^^M \"`'--- <|>",
 "note": "\\end{document} \\input{/etc/passwd} %", "command": ["pyrite", "run", "--set a_b=50%", "^^5c"]}
END
for step in evaluate answers; do
    use=$step
    [ $step = answers ] && use=generate
    echo "{\"name\": \"$step\", \"use\": \"$use\", \"label\": \"$step\", \"matrix\": {}}" >run/steps/$step/step.json
done
names='[1cm] 50% \\\\\\end{tabular} & _^#{'
{
    echo "{\"task\": \"t_1\", \"suite\": \"refusal\", \"name\": \"over_refusal_benign\", \"policy\": \"sft\", \"unit\": \"fraction\", \"value\": 0.1, \"low\": 0.05, \"high\": 0.2, \"n\": 20, \"seeds\": 1, \"method\": \"50 % \\\\foo ^^41\", \"lower_is_better\": 1, \"p\": null}"
    echo "{\"task\": \"t_1\", \"suite\": \"refusal\", \"name\": \"over_refusal_benign\", \"policy\": \"$names\", \"unit\": \"fraction\", \"value\": 0.3, \"low\": 0.25, \"high\": 0.4, \"n\": 20, \"seeds\": 1, \"lower_is_better\": 1}"
    echo "{\"task\": \"t_1\", \"suite\": \"refusal\", \"name\": \"over_refusal_benign\", \"policy\": \"$names\", \"baseline\": \"sft\", \"unit\": \"fraction\", \"value\": 0.2, \"low\": 0.15, \"high\": 0.3, \"p\": 0.01, \"p_adjusted\": 0.02, \"n\": 20, \"seeds\": 1, \"lower_is_better\": 1}"
} >run/steps/evaluate/metrics.jsonl
echo '{"id": "a", "prompt_id": "p", "split": "heldout", "policy": "sft", "prompt": "\\newpage %\n\n\\par ^^M", "response": "x", "tokens": 1}' >run/steps/answers/transcripts.jsonl
{
    printf '{"task": "t", "policy": "sft", "reward": "rm_%%", "transcript": "a", "tokens": ["\\\\input{x}", "%%", "^^", "\\n\\n", "\\u0001", "]", "*"'
    for code in 00a1 00ff 0100 0126 0138 0149 017f 01dd 0301 0391 03a3 03b1 0416 05d0 0627 0e01 200b 202e 2010 201c 2026 20ac 2122 2190 2211 221a 2212 2400 2421 2603 3042 4e2d ac00 fb01 fdfd feff ffff; do
        printf ', "\\u%s"' $code
    done
    printf ', "\\ud83d\\ude00", "\\ud840\\udc00"], "rewards": [1'
    for _ in $(seq 45); do printf ', -0.5'; done
    printf ']}\n'
} >run/steps/evaluate/token_rewards.jsonl

# No TeX in PATH: a notice, and all else is there.
PATH=/nowhere "$pyrite" report run --format latex >out 2>&1 || complain "a missing TeX is no failure: $(cat out)"
says out 'no run/report/report.pdf: none of pdflatex, lualatex and tectonic is installed'
says run/report/tables/refusal.tex '\toprule'
says run/report/report.tex '\textbackslash{}immediate\textbackslash{}write18\{touch pwned\}'
says run/report/report.tex '[U+4E2D]'
says run/report/report.tex '[U+1F600]'
[ -e run/report/report.pdf ] && complain "a PDF without a TeX"
grep -qx run/report/report.pdf out && complain "a PDF that was not made is listed"

# A TeX that fails: its first complaint, the log, exit code 1, no PDF of before.
mkdir fake && touch run/report/report.pdf
cat >fake/pdflatex <<'END'
#!/bin/sh
printf '%s\n' 'pretending
! Undefined control sequence.
<argument> \foo
l.12 \foo
          {bar}
! Another.' >.tex/report.log
exit 1
END
chmod +x fake/pdflatex
PATH=$here/fake "$pyrite" report run --format latex >out 2>&1
[ $? -eq 1 ] || complain "a failing TeX must be an error"
says out 'pdflatex could not make run/report/report.pdf: Undefined control sequence. at l.12 \foo; the log is run/report/report.log'
says run/report/report.log 'pretending'
[ -e run/report/report.pdf ] && complain "the PDF of before is still there"

# A TeX without the packages is none.
cat >fake/pdflatex <<'END'
#!/bin/sh
printf '%s\n' "! LaTeX Error: File 'booktabs.sty' not found." >.tex/report.log
exit 1
END
PATH=$here/fake "$pyrite" report run --format latex >out 2>&1 || complain "a missing package is no failure: $(cat out)"
says out "pdflatex lacks something (LaTeX Error: File 'booktabs.sty' not found.); Debian's texlive-latex-recommended"

# A TeX whose disk is full says nothing: then the cause is looked for. (Needs a name space to mount a small disk in.)
if unshare -rm true 2>/dev/null; then
    printf '%s\n' '#!/bin/sh' 'cat /dev/zero >.tex/fill 2>/dev/null' 'exit 1' >fake/pdflatex
    mkdir small
    unshare -rm bash -c 'mount -t tmpfs -o size=4m none small && cp -r run small/ && PATH=$1:/bin:/usr/bin "$2" report small/run --format latex' \
        - "$here/fake" "$pyrite" >out 2>&1
    [ $? -eq 1 ] || complain "a full disk must be an error: $(cat out)"
    says out 'pdflatex could not make small/run/report/report.pdf: it wrote no complaint, and Pyrite cannot write small/run/report/.tex/room: No space left on device'
fi

# Where it alone is installed, tectonic is asked, as untrusted input wants it.
mkdir other
cat >other/tectonic <<'END'
#!/bin/sh
printf '%s\n' "$*" >.tex/report.log
printf '%%PDF-' >.tex/report.pdf
END
chmod +x other/tectonic
PATH=$here/other "$pyrite" report run --format latex >out 2>&1 || complain "tectonic: $(cat out)"
says run/report/report.log '--untrusted --keep-logs --outdir .tex report.tex'
says out run/report/report.pdf
[ -s run/report/report.pdf ] || complain "what tectonic made was not kept"

engines=0
for engine in pdflatex lualatex; do
    command -v $engine >/dev/null || continue
    [ "$(kpsewhich booktabs.sty)" ] || continue
    [ $engine = pdflatex ] || [ "$(kpsewhich luaotfload.sty)" ] || continue # it loads no font without
    engines=$((engines + 1))
    mkdir -p only-$engine
    for tool in $engine gnuplot sh; do ln -sf "$(command -v $tool)" only-$engine/ 2>/dev/null; done
    PATH=$here/only-$engine "$pyrite" report run --format latex >out 2>&1 ||
        complain "$engine: $(cat out)"$'\n'"$(grep -A3 '^!' run/report/report.log | head -20)"
    [ "$(head -c 5 run/report/report.pdf)" = %PDF- ] || complain "$engine made no PDF"
    [ -e pwned ] || [ -e run/report/pwned ] && complain "text was run"
    [ -e run/report/.tex ] && complain "TeX's own files were left"
    cp run/report/report.pdf first.pdf
    PATH=$here/only-$engine "$pyrite" report run --format latex >out 2>&1
    [ $engine = pdflatex ] && { cmp -s first.pdf run/report/report.pdf || complain "the same run gave another PDF"; }
    # Its tables stand in another's paper, with the packages that they name.
    printf '%s\n' '\documentclass{article}\usepackage[T1]{fontenc}\usepackage{array,booktabs,textcomp}' '\begin{document}' \
        '\begin{table}\caption{Ours.}\input{run/report/tables/refusal}\end{table}' \
        '\input{run/report/tables/changes-t-1-fraction}' '\end{document}' >paper.tex
    $engine -interaction=nonstopmode -halt-on-error paper.tex >paper.out 2>&1 || complain "$engine, a paper: $(grep -A3 '^!' paper.out)"
    if [ $engine = pdflatex ] && command -v pdftotext >/dev/null; then
        pdftotext -layout run/report/report.pdf text
        says text 'write18{touch pwned}'
        says text '\end{document}'
        says text '+20.0 pp'
        says text '[+15.0, +30.0]'
    fi
done

[ $failed -eq 0 ] || exit 1
[ $engines -gt 0 ] || { echo "SKIP: no TeX with booktabs is installed; notices and failures are as expected"; exit 77; }
echo "latex: hostile text compiles and stays text with $engines engines"
