#include "harness/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/memory.h"

#ifndef PYRITE_VERSION
#define PYRITE_VERSION "unreleased"
#endif

/* Declared here, and weak: each library's header is included in one module alone, and a program may be
 * linked without some of them. */
extern const char *gsl_version __attribute__((weak));
const char *cJSON_Version(void) __attribute__((weak));
const char *curl_version(void) __attribute__((weak));
const char *sqlite3_libversion(void) __attribute__((weak));
const char *yaml_get_version_string(void) __attribute__((weak));
const char *zlibVersion(void) __attribute__((weak));
const char *ZSTD_versionString(void) __attribute__((weak));
const char *gnu_get_libc_version(void) __attribute__((weak));

const char *version_program(void) {
    return PYRITE_VERSION;
}

static void add_version(struct node *map, const char *name, const char *(*version)(void)) {
    if (version) node_add_text(map, name, version());
}

void version_libraries(struct node *map) {
    add_version(map, "cjson", cJSON_Version);
    if (&gsl_version) node_add_text(map, "gsl", gsl_version);
    add_version(map, "libc", gnu_get_libc_version);
    add_version(map, "libcurl", curl_version);
    add_version(map, "libyaml", yaml_get_version_string);
    add_version(map, "sqlite", sqlite3_libversion);
    add_version(map, "zlib", zlibVersion);
    add_version(map, "zstd", ZSTD_versionString);
}

static char *processor_name(void) {
    char line[512], *name = NULL;
    FILE *in = fopen("/proc/cpuinfo", "r");

    while (in && !name && fgets(line, sizeof line, in)) {
        char *colon = strchr(line, ':');

        if (strncmp(line, "model name", 10) || !colon) continue;
        colon[strcspn(colon, "\n")] = 0;
        name = xstrdup(colon + 1 + strspn(colon + 1, " "));
    }
    if (in) fclose(in);
    return name ? name : xstrdup("unknown");
}

static void add_instruction_sets(struct node *map) {
    struct node *list = node_add(map, "instructions", NODE_LIST);

#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) node_add_text(list, NULL, "avx2");
    if (__builtin_cpu_supports("fma")) node_add_text(list, NULL, "fma");
    if (__builtin_cpu_supports("avx512f")) node_add_text(list, NULL, "avx512f");
    if (__builtin_cpu_supports("avx512bf16")) node_add_text(list, NULL, "avx512bf16");
#else
    (void)list;
#endif
}

void version_processor(struct node *map) {
    char *name = processor_name();

    node_add_text(map, "processor", name);
    node_add_number(map, "processors", (double)sysconf(_SC_NPROCESSORS_ONLN));
    add_instruction_sets(map);
    free(name);
}

double memory_total(void) {
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGE_SIZE);

    return pages > 0 && size > 0 ? (double)pages * (double)size : 0;
}
