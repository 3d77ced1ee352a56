#include "harness/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/memory.h"

static int sync_folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = slash ? xstrndup(path, slash == path ? 1 : (size_t)(slash - path)) : xstrdup(".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY);
    int status = fd < 0 ? -1 : fsync(fd);

    if (fd >= 0) close(fd);
    free(folder);
    return status;
}

int output_open(struct output *out, const char *path, struct error *err) {
    *out = (struct output){.path = xstrdup(path), .temporary = xprintf("%s.tmp", path)};
    out->file = fopen(out->temporary, "wb");
    if (out->file) return 0;
    fail(err, "cannot write %s: %s", out->temporary, strerror(errno));
    output_discard(out);
    return -1;
}

/* A stream remembers that a write failed and not why: one more, to a file that will go away, says it (errno;
   0 where it succeeds). */
static int cause_of_failure(FILE *file) {
    static const char block[1 << 16];

    errno = 0;
    return write(fileno(file), block, sizeof block) < (ssize_t)sizeof block && !errno ? ENOSPC : errno;
}

static int finish_writing(struct output *out) {
    int bad = ferror(out->file), cause = bad ? cause_of_failure(out->file) : 0;

    if (!bad && (fflush(out->file) || fsync(fileno(out->file)))) {
        bad = 1;
        cause = errno;
    }
    if (fclose(out->file) && !bad) {
        bad = 1;
        cause = errno;
    }
    out->file = NULL;
    errno = cause;
    return bad ? -1 : 0;
}

int output_close(struct output *out, struct error *err) {
    int status = 0;

    errno = 0;
    if (finish_writing(out) || rename(out->temporary, out->path) || sync_folder_of(out->path))
        status =
            fail(err, "cannot write %s: %s", out->path, errno ? strerror(errno) : "an earlier write failed");
    if (status) unlink(out->temporary);
    free(out->path);
    free(out->temporary);
    *out = (struct output){0};
    return status;
}

void output_discard(struct output *out) {
    if (out->file) fclose(out->file);
    if (out->temporary) unlink(out->temporary);
    free(out->path);
    free(out->temporary);
    *out = (struct output){0};
}

int file_write(const char *path, const void *bytes, size_t length, struct error *err) {
    struct output out;

    if (output_open(&out, path, err)) return -1;
    if (length) fwrite(bytes, 1, length, out.file);
    return output_close(&out, err);
}

char *file_read(const char *path, size_t *length, struct error *err) {
    struct text text = {0};
    char block[1 << 16];
    FILE *in = fopen(path, "rb");
    struct stat info;
    size_t got;

    if (!in || fstat(fileno(in), &info)) {
        fail(err, "cannot read %s: %s", path, strerror(errno));
        goto bad;
    }
    if (S_ISDIR(info.st_mode)) {
        fail(err, "cannot read %s: it is a folder, a file was expected", path);
        goto bad;
    }
    text_add(&text, "", 0);
    while ((got = fread(block, 1, sizeof block, in)) > 0) text_add(&text, block, got);
    if (ferror(in)) {
        fail(err, "cannot read %s: %s", path, strerror(errno));
        goto bad;
    }
    fclose(in);
    if (length) *length = text.length;
    return text.data;
bad:
    if (in) fclose(in);
    free(text.data);
    return NULL;
}

int file_map(const unsigned char **bytes, size_t *length, const char *path, struct error *err) {
    struct stat info;
    int file = open(path, O_RDONLY | O_CLOEXEC), status = -1;
    void *mapping;

    *bytes = NULL;
    if (file < 0) return fail(err, "cannot open %s: %s", path, strerror(errno));
    if (fstat(file, &info)) {
        fail(err, "cannot read %s: %s", path, strerror(errno));
    } else if (!S_ISREG(info.st_mode) || info.st_size == 0) {
        fail(err, "%s is empty or no file", path);
    } else {
        *length = (size_t)info.st_size;
        mapping = mmap(NULL, *length, PROT_READ, MAP_PRIVATE, file, 0);
        if (mapping != MAP_FAILED) *bytes = mapping;
        status = *bytes ? 0 : fail(err, "cannot map %s: %s", path, strerror(errno));
    }
    close(file);
    return status;
}

void file_unmap(const unsigned char *bytes, size_t length) {
    if (bytes) munmap((void *)bytes, length);
}

int file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

int file_same(const char *a, const char *b) {
    char *first = realpath(a, NULL), *second = realpath(b, NULL);
    int same = first && second && strcmp(first, second) == 0;

    free(first);
    free(second);
    return same;
}

int folder_make(const char *path, struct error *err) {
    char *part = xstrdup(path);
    struct stat info;
    int status = 0;

    for (char *end = part + 1; *part && !status; end++) {
        char kept = *end;

        if (kept && kept != '/') continue;
        *end = '\0';
        if (mkdir(part, 0777) && (errno != EEXIST || stat(part, &info) || !S_ISDIR(info.st_mode)))
            status = fail(err, "cannot make the folder %s: %s", part, strerror(errno));
        *end = kept;
        if (!kept) break;
    }
    free(part);
    return status;
}

static int remove_entries(const char *path, struct error *err) {
    DIR *folder = opendir(path);
    int status = 0;

    if (!folder) return fail(err, "cannot read the folder %s: %s", path, strerror(errno));
    for (struct dirent *entry; !status && (entry = readdir(folder));) {
        char *inside;

        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        inside = path_join(path, entry->d_name);
        status = folder_remove(inside, err);
        free(inside);
    }
    closedir(folder);
    return status;
}

int folder_remove(const char *path, struct error *err) {
    struct stat info;
    int folder;

    if (lstat(path, &info))
        return errno == ENOENT ? 0 : fail(err, "cannot remove %s: %s", path, strerror(errno));
    folder = S_ISDIR(info.st_mode);
    if (folder && remove_entries(path, err)) return -1;
    if ((folder ? rmdir(path) : unlink(path)) == 0) return 0;
    return fail(err, "cannot remove %s: %s", path, strerror(errno));
}

int folder_exists(const char *path) {
    struct stat facts;

    return !stat(path, &facts) && S_ISDIR(facts.st_mode);
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

int folder_each(const char *folder, const char *name,
                int (*each)(void *context, const char *path, struct error *err), void *context,
                struct error *err) {
    struct dirent **entries = NULL;
    char *path = path_join(folder, name);
    int status = file_exists(path) ? each(context, path, err) : 0,
        count = scandir(folder, &entries, is_visible, alphasort);

    free(path);
    for (int i = 0; i < count; i++) {
        char *below = path_join(folder, entries[i]->d_name);

        if (!status && folder_exists(below)) status = folder_each(below, name, each, context, err);
        free(below);
        free(entries[i]);
    }
    free(entries);
    return status;
}

char *path_join(const char *folder, const char *name) {
    size_t length = strlen(folder);

    if (!length || name[0] == '/') return xstrdup(name);
    return xprintf("%s%s%s", folder, folder[length - 1] == '/' ? "" : "/", name);
}

/* SHA-256, FIPS 180-4: 64-byte blocks, lengths in bits, big-endian words. */
struct sha256 {
    uint32_t state[8];
    unsigned char block[64];
    uint64_t length; /* bytes so far */
};

static const uint32_t sha256_start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static const uint32_t sha256_round[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turn(uint32_t x, int right) {
    return x >> right | x << (32 - right);
}

static void sha256_schedule(uint32_t w[64], const unsigned char *block) {
    for (int t = 0; t < 16; t++, block += 4)
        w[t] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 | (uint32_t)block[2] << 8 | block[3];
    for (int t = 16; t < 64; t++) {
        uint32_t a = w[t - 15], b = w[t - 2];

        w[t] = (turn(b, 17) ^ turn(b, 19) ^ b >> 10) + w[t - 7] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) +
               w[t - 16];
    }
}

static void sha256_block(uint32_t state[8], const unsigned char *block) {
    uint32_t w[64], s[8];

    sha256_schedule(w, block);
    memcpy(s, state, sizeof s);
    for (int t = 0; t < 64; t++) {
        uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
        uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
        uint32_t one =
            s[7] + (turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25)) + choice + sha256_round[t] + w[t];
        uint32_t two = (turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22)) + majority;

        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += one;
        s[0] = one + two;
    }
    for (int i = 0; i < 8; i++) state[i] += s[i];
}

static void sha256_add(struct sha256 *sha, const void *bytes, size_t length) {
    const unsigned char *from = bytes;

    while (length) {
        size_t at = sha->length % 64, part = length < 64 - at ? length : 64 - at;

        memcpy(sha->block + at, from, part);
        sha->length += part;
        from += part;
        length -= part;
        if (at + part == 64) sha256_block(sha->state, sha->block);
    }
}

static void sha256_finish(struct sha256 *sha, char hex[65]) {
    uint64_t bits = sha->length * 8;
    unsigned char tail[72] = {0x80};
    size_t zeros = (119 - sha->length % 64) % 64;

    for (int i = 0; i < 8; i++) tail[1 + zeros + i] = (unsigned char)(bits >> (56 - 8 * i));
    sha256_add(sha, tail, 1 + zeros + 8);
    for (int i = 0; i < 8; i++) sprintf(hex + 8 * i, "%08x", sha->state[i]);
}

static struct sha256 sha256_new(void) {
    struct sha256 sha = {0};

    memcpy(sha.state, sha256_start, sizeof sha256_start);
    return sha;
}

void hash_bytes(char hex[65], const void *bytes, size_t length) {
    struct sha256 sha = sha256_new();

    sha256_add(&sha, bytes, length);
    sha256_finish(&sha, hex);
}

int hash_file(char hex[65], const char *path, struct error *err) {
    struct sha256 sha = sha256_new();
    char block[1 << 16];
    FILE *in = fopen(path, "rb");
    size_t got;
    int bad;

    if (!in) return fail(err, "cannot read %s: %s", path, strerror(errno));
    while ((got = fread(block, 1, sizeof block, in)) > 0) sha256_add(&sha, block, got);
    bad = ferror(in);
    fclose(in);
    if (bad) return fail(err, "cannot read %s: %s", path, strerror(errno));
    sha256_finish(&sha, hex);
    return 0;
}
