#include "harness/section.h"

#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"

/* A file and where in it the section's inside begins and ends. */
struct section {
    char *file, *from, *to;
};

static int section_read(struct section *section, const char *path, const char *name, struct error *err) {
    char *begins = xprintf("<!-- %s -->\n", name), *ends = xprintf("<!-- end of %s -->\n", name), *at;
    size_t length;

    *section = (struct section){.file = file_read(path, &length, err)};
    at = section->file ? strstr(section->file, begins) : NULL;
    if (at) section->from = at + strlen(begins);
    if (at) section->to = strstr(section->from, ends);
    free(begins);
    free(ends);
    if (section->to) return 0;
    if (section->file)
        fail(err, "%s has no section \"%s\": a line <!-- %s --> and below it a line <!-- end of %s -->", path,
             name, name, name);
    free(section->file);
    return -1;
}

int section_check(const char *path, const char *name, struct error *err) {
    struct section section;

    if (section_read(&section, path, name, err)) return -1;
    free(section.file);
    return 0;
}

int section_write(const char *path, const char *name, const char *text, struct error *err) {
    struct section section;
    struct text whole = {0};
    int status;

    if (section_read(&section, path, name, err)) return -1;
    text_add(&whole, section.file, (size_t)(section.from - section.file));
    text_printf(&whole, "\n%s\n%s", text, section.to);
    status = file_write(path, whole.data, whole.length, err);
    free(whole.data);
    free(section.file);
    return status;
}
