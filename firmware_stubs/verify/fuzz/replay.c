/* Runs a fuzz target over files, without libFuzzer: for regressions in ordinary tests, and for coverage by gcov.
 * usage: replay FILE... */
#include "fuzz.h"

#define INPUT_MAX 65536u

int main(int count, char **names) {
    static uint8_t data[INPUT_MAX];
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(names[i], "rb");
        if (file == NULL) {
            (void)fprintf(stderr, "%s: cannot be read\n", names[i]);
            return 2;
        }
        const size_t size = fread(data, 1u, sizeof data, file);
        (void)fclose(file);
        (void)fprintf(stderr, "%s\n", names[i]); /* the last one named is the one that fails */
        (void)LLVMFuzzerTestOneInput(data, size);
    }
    return 0;
}
