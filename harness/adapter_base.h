/* The model that an adapter's folder stands on, as PEFT's adapter_config.json names it. */
#ifndef HARNESS_ADAPTER_BASE_H
#define HARNESS_ADAPTER_BASE_H

#include "harness/error.h"

#define ADAPTER_CONFIG  "adapter_config.json"
#define ADAPTER_NUMBERS "adapter_model.safetensors"
#define MOST_ADAPTERS   8 /* that stand on one another */

/* Whether a path is a folder with adapter_config.json. */
int is_adapter(const char *path);
/* Where a base of this name lies: seen from the adapter's folder, or else from where the program runs; NULL
 * if there is nothing. Caller frees. */
char *adapter_base_find(const char *folder, const char *name);
/* The same for the name that the folder's adapter_config.json gives; NULL too if that cannot be read. */
char *adapter_base_of(const char *folder);
/* The first of an adapter's folder and those that it stands on that has this file, or else the last of them;
 * caller frees. NULL: a base is missing. */
char *adapter_find_file(const char *path, const char *name);
/* How a folder that exists names a base that exists: by a path from the folder, or from / where the two have
 * no folder in common. Caller frees. */
char *adapter_base_name(const char *folder, const char *base, struct error *err);

#endif
