/* Runs a harness over files and directories of inputs: the corpora are tests,
 * with every compiler. */
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_BYTES_MAX (1u << 20) /* libFuzzer's own inputs are far smaller    */

static unsigned replayed;

/* False when `path` cannot be read as a file. */
static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return -1;
    uint8_t *room = malloc(INPUT_BYTES_MAX);
    size_t size = room == NULL ? 0 : fread(room, 1, INPUT_BYTES_MAX, file);
    int status = ferror(file) ? -1 : 0;
    fclose(file);
    if (status == 0) {
        /* A block of exactly its size, so that ASan sees any read past it. */
        uint8_t *exact = malloc(size > 0 ? size : 1);
        for (size_t i = 0; exact != NULL && i < size; i++)
            exact[i] = room[i];
        fprintf(stderr, "%s\n", path);
        (void)LLVMFuzzerTestOneInput(exact, size);
        replayed++;
        free(exact);
    }
    free(room);
    return status;
}

static int replay_directory(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return -1;
    int status = 0;
    const struct dirent *entry;
    while (status == 0 && (entry = readdir(directory)) != NULL) {
        char name[4096];
        if (entry->d_name[0] == '.')
            continue;
        int length = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        status = length > 0 && (size_t)length < sizeof name ? replay_file(name) : -1;
    }
    closedir(directory);
    return status;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (replay_directory(argv[i]) != 0 && replay_file(argv[i]) != 0) {
            fprintf(stderr, "replay: cannot read %s: name a file or a directory of inputs\n",
                argv[i]);
            return EXIT_FAILURE;
        }
    }
    printf("%u inputs replayed\n", replayed);
    return replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
