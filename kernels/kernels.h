/* Arithmetic on arrays: one table of operations per backend, filled from ops.def, so that a missing one is a
 * link error. */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* What matrix products multiply: an array of float, or of bf16 where operand_bytes is 2. */
typedef void operand;

struct recording;

/* Neighbouring elements of an array. */
struct extent {
    size_t from;
    int size;
};

enum { IDENTITY_BYTES = 16, INVITATION_BYTES = 128 };

/* What the devices of several processes do together, one device each. A process's piece of an array is
   data[start[index]] … data[start[index + 1] - 1]. All call the same in the same order with the same sizes.
 */
struct collective {
    void (*identify)(void *identity); /* one that no other device has, of this machine or another */
    /* One process writes the invitation with which all join, once. NULL, or the sentence that says what is
       wrong. */
    const char *(*invite)(void *invitation);
    const char *(*join)(const void *invitation, int index, int count);
    /* Queued behind the operations and beside those that follow, until settle(), from where on operations
       wait for both. reduce() leaves in each process the sums of its piece, gather() each piece in all. A
       sum's order is the library's, and what the other pieces hold after reduce() has no meaning. */
    void (*reduce)(float *data, const size_t *start);
    void (*gather)(float *data, const size_t *start);
    void (*settle)(void);
    size_t bucket; /* numbers that reduce() is best given at a time */
};

/* What policy_slope() adds up, and the largest that it finds. */
enum { POLICY_LOSS, POLICY_CLIPPED, POLICY_RATIO, POLICY_MOVED, POLICY_ENTROPY, POLICY_GAP, POLICY_SUMS };

struct kernels {
    const char *name;
    size_t operand_bytes; /* of one element: 4 or 2 */
    int rows_vary;        /* whether a row's last bits may depend on how many rows it is computed with */
    int line; /* lines of what are both results and operands are best a multiple of so many elements: where
                 one is longer, rows of zeros behind those that pack() wrote make it so. 1: any length is as
                 good */
    int head_rows; /* that a product with a vocabulary should have at a time */
    /* Zeroed memory on 64-byte boundaries, in huge pages where they help; NULL when there is none. */
    void *(*alloc)(size_t bytes);
    void (*free)(void *memory);
    /* The host's view of kernel memory. What queued calls leave there is in it if `reading`, and what the
       host wrote is in the memory after unmap() if `writing`. On the CPU the view is the memory itself. */
    void *(*map)(void *memory, size_t bytes, int reading);
    void (*unmap)(void *memory, void *view, size_t bytes, int writing);
    /* Arrays of the host's as operations' arguments; room is kernel memory of as many bytes. send(): where to
       read the array, which may change afterwards. place(): where to write it, and fetch() of that place
       brings it to the host by the next sync(). On the CPU all are the array itself, and nothing is copied.
       */
    const void *(*send)(void *room, const void *array, size_t bytes);
    void *(*place)(void *room, void *array);
    void (*fetch)(void *array, const void *place, size_t bytes);
    void (*zero)(void *memory, size_t bytes);
    void (*copy)(void *out, const void *memory, size_t bytes);
    /* Queues what calls(context) does, which must be operations, zero() and copy() alone. Where many calls
       take longer to make than to do, a backend records them the second time and queues the record from then
       on: so with one *recording, at first NULL, they must be the same calls of the same arguments; what the
       arrays hold may change. Freeing kernel memory makes recordings be made anew. forget(): NULL is none. */
    void (*repeat)(struct recording **recording, void (*calls)(void *context), void *context);
    void (*forget)(struct recording *recording);
    /* Bytes that pack() and cache_write() need; pack_size() is 0 where products read weights as they are.
       With one_layout, products of dy read the layout of those of x, and pack_size() of theirs is 0. */
    int one_layout;
    size_t (*pack_size)(int outs, int ins, int turned);
    /* Those that pack_int8() needs; 0 where products cannot read what it makes. */
    size_t (*pack_int8_size)(int outs, int ins);
    size_t (*cache_size)(int slots, int context, int kv_heads, int head_size);
    /* Bytes that products of x[rows][ins] and w[outs][ins], their gradients, and sums and scatters over such
       rows take for themselves at most; results: whether such products become operands. Operations that
       follow one another use the same, so that the largest of all counts. */
    size_t (*scratch_size)(int rows, int outs, int ins, int results);
    /* Bytes that are free now, for alloc(), and all there are: of the device, or of the machine with what its
       other programs can give back, where a control group allows less, of that; total 0: nobody can tell. */
    void (*memory)(size_t *free, size_t *total);
    /* Nothing but multiply-adds in registers, in the calling thread, or on all of a device: what the bench
       measures a machine's ceiling with. Returns the floating-point operations done; out: anything, so that
       they are done. */
    size_t (*peak)(float *out, int rounds);
    /* Waits for queued calls; the first failure's sentence, from then on, or NULL. */
    const char *(*sync)(void);
    const struct collective *collective; /* NULL: kernel memory is the host's */
#define OP(name, arguments) void(*name) arguments;
#include "kernels/ops.def"
#undef OP
};

/* "cpu", or with a suffix that pins the instruction set: "cpu-avx512", "cpu-avx2", "cpu-portable";
   "cpu-bf16", whose operands are bf16, or pinned: "cpu-avx512bf16" (its dot products in hardware),
   "cpu-avx512-bf16", "cpu-avx2-bf16", "cpu-portable-bf16"; or "cuda", an NVIDIA device, and
   "cuda-bf16", it with operands of bf16 and their products on tensor cores, and "cuda-cublas", that with
   large products by NVIDIA's cuBLASLt. NULL if this machine cannot run it. CUDA does not survive fork(): a
   process that has found it must not fork to use it. */
const struct kernels *kernels_find(const char *name);
/* The same table for what it says of sizes alone: no device is touched, or need be there, so that a process
 * may fork afterwards. NULL if this build has no such backend. */
const struct kernels *kernels_outline(const char *name);
/* Why kernels_find() has just given NULL for that name: "this machine has no …". */
const char *kernels_missing(const char *name);

/* Before the first kernels_find("cuda"): which of this machine's devices that is, number modulo their count.
   The first one unless said. */
void kernels_device(int number);

/* How many threads operations may use, from now on, in this process. */
void kernels_threads(int count);

#define OP(name, arguments) void name##_cpu arguments;
#include "kernels/ops.def"
#undef OP

#endif
