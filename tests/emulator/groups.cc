/* Products of groups of 4 warps: they are made when a thread first waits for them, from what the matrices
 * held when they were started, which may not have changed; until a thread has waited, its sums are NaNs. */
#include <algorithm>
#include <vector>

#include "device.h"

#define GROUP  128
#define GROUPS 8

/* Of 64 rows and 16 columns, and of up to 256 rows and 16. */
struct step {
    float left[64][16];
    std::vector<unsigned short> right;
    struct emulated_product as;
};

/* Products that add to the same sums; `batch`: of the last of them. */
struct chain {
    float *sum[GROUP];
    std::vector<float> value; /* [64][columns] */
    std::vector<struct step> steps;
    int columns, batch, taken;
};

struct thread {
    int ready, batch; /* whether begin_products() came since it waited; how many batches it has ended */
};

static struct group {
    struct emulated_product asked[GROUP];
    unsigned arrived;
    std::vector<struct chain> chains;
    struct thread threads[GROUP];
} groups[GROUPS];

static struct group *own_group(void) {
    return &groups[emulated_number() / GROUP];
}

static struct thread *own_thread(void) {
    return &own_group()->threads[emulated_number() % GROUP];
}

void emulated_begin_groups(void) {
    for (struct group &group : groups) {
        for (const struct chain &chain : group.chains)
            if (chain.taken < GROUP) emulated_wrong("a block ended while its products were under way");
        group.arrived = 0;
        group.chains.clear();
        std::fill_n(group.threads, GROUP, thread{0, 0});
    }
}

/* Element `at` of a side's 16 along the sum, of row `row`. */
static unsigned short element_of(matrix matrix, int turned, unsigned row, unsigned at) {
    unsigned start = (unsigned)(matrix & 0x3fff) << 4, apart = (unsigned)(matrix >> 16 & 0x3fff) << 4;
    unsigned eight_lines = (unsigned)(matrix >> 32 & 0x3fff) << 4, address;
    unsigned short element;

    if (matrix >> 62 != 1) emulated_wrong("a matrix is not one of matrix_at()");
    if (start & 0x380) emulated_wrong("a matrix does not begin with the first of 8 lines on 1024 bytes");
    if (turned)
        address = start + row % 64 * 2 + row / 64 * apart + at % 8 * 128 + at / 8 * eight_lines;
    else
        address = start + row % 8 * 128 + row / 8 * eight_lines + at * 2;
    memcpy(&element, emulated_shared + (address ^ (address >> 3 & 0x70)), sizeof element);
    return element;
}

static std::vector<unsigned short> side_of(matrix matrix, int turned, unsigned rows) {
    std::vector<unsigned short> out(rows * 16);

    for (unsigned row = 0; row < rows; row++)
        for (unsigned at = 0; at < 16; at++) out[row * 16 + at] = element_of(matrix, turned, row, at);
    return out;
}

/* Where a sum's number i of a thread lies. */
static int row_of(int thread, int i) {
    return thread / 32 * 16 + thread % 32 / 4 + i / 2 % 2 * 8;
}

static int column_of(int thread, int i) {
    return i / 4 * 8 + thread % 4 * 2 + i % 2;
}

static void take_left(struct step *step, const struct emulated_product asked[GROUP]) {
    if (!asked->left) {
        std::vector<unsigned short> left = side_of(asked->left_matrix, asked->left_turned, 64);

        for (int i = 0; i < 64 * 16; i++) step->left[i / 16][i % 16] = emulated_float(left[i]);
        return;
    }
    for (int t = 0; t < GROUP; t++)
        for (int i = 0; i < 8; i++) /* left[0 … 3] as sums of 16 columns lie */
            step->left[row_of(t, i)][column_of(t, i)] =
                emulated_float(i % 2 ? asked[t].left[i / 2] >> 16 : asked[t].left[i / 2] & 0xffff);
}

static struct chain *chain_of(struct group *group, const struct emulated_product *asked) {
    struct chain fresh = {};

    for (struct chain &chain : group->chains)
        if (chain.sum[0] == asked->sum && chain.taken == 0) {
            if (chain.columns != asked->columns) emulated_wrong("products of two shapes share their sums");
            return &chain;
        }
    fresh.columns = asked->columns;
    fresh.value.resize(64 * fresh.columns);
    for (int t = 0; t < GROUP; t++) {
        fresh.sum[t] = asked[t].sum;
        for (int i = 0; i < fresh.columns / 2; i++) {
            fresh.value[row_of(t, i) * fresh.columns + column_of(t, i)] = asked[t].sum[i];
            asked[t].sum[i] = NAN;
        }
    }
    group->chains.push_back(fresh);
    return &group->chains.back();
}

static void start_product(struct group *group, int batch) {
    const struct emulated_product *asked = group->asked;
    struct chain *chain = chain_of(group, asked);
    struct step step;

    for (int t = 0; t < GROUP; t++)
        if (asked[t].right != asked->right || asked[t].keep != asked->keep ||
            asked[t].left_matrix != asked->left_matrix)
            emulated_wrong("threads of a group ask for different products");
    take_left(&step, asked);
    step.right = side_of(asked->right, asked->right_turned, asked->columns);
    step.as = *asked;
    chain->steps.push_back(step);
    chain->batch = batch;
}

void emulated_multiply_async(const struct emulated_product &mine) {
    struct group *group = own_group();
    unsigned first = emulated_number() / GROUP * GROUP;

    if (!own_thread()->ready) emulated_wrong("a group's product without begin_products() before it");
    group->asked[emulated_number() % GROUP] = mine;
    if (++group->arrived < GROUP) {
        emulated_sleep();
        return;
    }
    group->arrived = 0;
    start_product(group, own_thread()->batch);
    for (unsigned t = first; t < first + GROUP; t++)
        if (t != emulated_number()) emulated_wake(t);
}

static void make(struct chain *chain) {
    for (const struct step &step : chain->steps) {
        if (step.right != side_of(step.as.right, step.as.right_turned, step.as.columns))
            emulated_wrong("shared memory changed while a product read it");
        for (int row = 0; row < 64; row++)
            for (int column = 0; column < chain->columns; column++) {
                float *value = &chain->value[row * chain->columns + column];
                double sum = step.as.keep ? (double)*value : 0;

                for (int k = 0; k < 16; k++)
                    sum += (double)step.left[row][k] * (double)emulated_float(step.right[column * 16 + k]);
                *value = (float)sum;
            }
    }
    chain->steps.clear();
}

static void take(struct chain *chain, int thread) {
    for (int i = 0; i < chain->columns / 2; i++)
        chain->sum[thread][i] = chain->value[row_of(thread, i) * chain->columns + column_of(thread, i)];
    chain->sum[thread] = NULL;
    chain->taken++;
}

void begin_products(void) {
    own_thread()->ready = 1;
}

void end_products(void) {
    own_thread()->batch++;
}

void emulated_wait_for_products(int left) {
    std::vector<struct chain> &chains = own_group()->chains;
    int thread = emulated_number() % GROUP;

    own_thread()->ready = 0;
    for (struct chain &chain : chains) {
        if (!chain.sum[thread] || chain.batch >= own_thread()->batch - left) continue;
        make(&chain);
        take(&chain, thread);
    }
    chains.erase(std::remove_if(chains.begin(), chains.end(),
                                [](const struct chain &chain) { return chain.taken == GROUP; }),
                 chains.end());
}
