/* The page's style sheet and script, made into C strings from page.css and page.js by embed.sh at build. */
#ifndef REPORTS_PAGE_H
#define REPORTS_PAGE_H

extern const char page_css[];
extern const char page_js[];

#endif
