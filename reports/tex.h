/* PDF from LaTeX, where a TeX is installed. */
#ifndef REPORTS_TEX_H
#define REPORTS_TEX_H

#include "harness/error.h"

/* FOLDER/STEM.tex → FOLDER/STEM.pdf, by the first of pdflatex, lualatex and tectonic that is installed, with
   no shell for the text; FOLDER/STEM.log is kept; those from before are removed first. 1: made; 0: none of
   them is installed, or a package or font that it needs is not, as err says; -1: TeX failed, and err says its
   first complaint. */
int tex_run(const char *folder, const char *stem, struct error *err);

#endif
