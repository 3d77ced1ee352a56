/* The page's style sheet and its script's parts, made into C strings from the files of these names by
   embed.sh at build. */
#ifndef REPORTS_PAGE_H
#define REPORTS_PAGE_H

extern const char page_css[];
extern const char records_js[], words_js[], filters_js[], boxes_js[], list_js[], page_js[];

#endif
