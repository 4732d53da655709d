/* What is proved of the two copies: eg_pair.c around any step whatever, and around the core's own.
 * One function a property, as in properties.c. Nothing here runs on a microcontroller. */
#include <stdint.h>

#include "eg_pair.c"

static const eg_table T = EG_POLICY_TABLE;

/* The two steps: whatever they do to a state, and whatever they put out. */
static eg_state taken[2];
static eg_state left[2];
static eg_outputs given_out[2];
static uint32_t steps;

eg_outputs eg_step(const eg_table *table, eg_state *state, const eg_inputs *inputs, uint64_t now_us) {
    (void)table;
    (void)inputs;
    (void)now_us;
    const uint32_t i = steps;
    steps++;
    taken[i] = *state;
    *state = left[i];
    return given_out[i];
}

static bool equal_bytes(const uint8_t *a, const uint8_t *b, uint32_t size) {
    bool equal = true;
    for (uint32_t i = 0u; i < size; i++) {
        equal = equal && (a[i] == b[i]);
    }
    return equal;
}

static bool complement_bytes(const uint8_t *a, const uint8_t *b, uint32_t size) {
    bool complement = true;
    for (uint32_t i = 0u; i < size; i++) {
        complement = complement && (a[i] == (uint8_t)(b[i] ^ 0xFFu ^ (i + (i >> 8))));
    }
    return complement;
}

/* Whatever two steps leave and put out: if one byte differs it is reported, and if none does it is not. */
static void copies(void) {
    eg_state any_left[2];
    eg_outputs any_out[2];
    eg_pair pair;
    eg_inputs in;
    uint64_t now_us;
    eg_outputs first;
    eg_outputs second;
    left[0] = any_left[0];
    left[1] = any_left[1];
    given_out[0] = any_out[0];
    given_out[1] = any_out[1];
    const eg_pair before = pair;
    const bool agree = eg_pair_step(&T, &pair, &in, now_us, &first, &second);
    const bool states = equal_bytes((const uint8_t *)&left[0], (const uint8_t *)&left[1], sizeof(eg_state));
    const bool outputs = equal_bytes((const uint8_t *)&given_out[0], (const uint8_t *)&given_out[1], sizeof(eg_outputs));
    __ESBMC_assert(equal_bytes((const uint8_t *)&taken[0], (const uint8_t *)&before.state, sizeof(eg_state)) &&
                       complement_bytes((const uint8_t *)&taken[1], before.complement, sizeof(eg_state)),
                   "each step is of its own copy");
    __ESBMC_assert(equal_bytes((const uint8_t *)&pair.state, (const uint8_t *)&left[0], sizeof(eg_state)) &&
                       complement_bytes((const uint8_t *)&left[1], pair.complement, sizeof(eg_state)),
                   "each copy is what its own step left");
    __ESBMC_assert(agree == (states && outputs), "a byte that differs is reported, and nothing else is");
}

int main(void) {
    PROPERTY();
    return 0;
}
