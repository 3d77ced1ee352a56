/* Versions of the program and of the libraries it runs with. */
#ifndef HARNESS_VERSION_H
#define HARNESS_VERSION_H

#include "harness/document.h"

/* Part of every step's hash: changes when the same options give other files. */
#define OUTPUT_VERSION "3"

const char *version_program(void);        /* "0.1.0" */
void version_libraries(struct node *map); /* adds {"sqlite": "3.40.1", …} of those that are linked */
void version_processor(struct node *map); /* adds name, threads and vector instruction sets */
double memory_total(void);                /* bytes of this machine; 0 if unknown */

#endif
