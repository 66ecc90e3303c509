/* Plays scenario files: blocks of lines, `----`, what they must print, a blank
 * line. One file is one TAP case. With --rewrite what they print replaces what
 * stood there: review the difference. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/array.h"
#include "tests/sim/script.h"

#define LINE_BYTES 400

/* The result file as it would be after a rewrite. */
struct play {
    struct script script;
    struct crdt_buffer text;     /* what the file should be                      */
    struct crdt_buffer expected; /* of the block at hand                         */
};

static void play_text(struct crdt_buffer *buffer, const char *text)
{
    (void)!crdt_buffer_append(buffer, text, strlen(text));
}

static void play_line(struct play *play, const char *line)
{
    play_text(&play->text, line);
    play_text(&play->text, "\n");
}

/* Reads what the file expects: up to a blank line. */
static void play_expected(struct play *play, FILE *file)
{
    char line[LINE_BYTES];
    crdt_buffer_clear(&play->expected);
    while (fgets(line, sizeof line, file) != NULL && line[0] != '\n')
        play_text(&play->expected, line);
}

/* Says which block differs, as TAP comments. */
static void play_difference(struct play *play, const char *path, unsigned line)
{
    printf("# %s:%u: expected\n", path, line);
    const struct crdt_buffer *texts[] = { &play->expected, &play->script.output };
    for (size_t i = 0; i < 2; i++) {
        const char *at = (const char *)texts[i]->data;
        for (size_t left = texts[i]->size; left > 0;) {
            const char *end = memchr(at, '\n', left);
            size_t size = end == NULL ? left : (size_t)(end - at) + 1;
            printf("#   %.*s", (int)size, at);
            at += size;
            left -= size;
        }
        if (i == 0)
            printf("# but got\n");
    }
}

static bool play_block_end(
    struct play *play, FILE *file, const char *path, unsigned line, bool is_rewriting)
{
    play_expected(play, file);
    const struct crdt_buffer *output = &play->script.output;
    play_line(play, "----");
    (void)!crdt_buffer_append(&play->text, output->data, output->size);
    play_line(play, "");
    bool is_same = output->size == play->expected.size
        && (output->size == 0 || memcmp(output->data, play->expected.data, output->size) == 0);
    if (!is_same && !is_rewriting)
        play_difference(play, path, line);
    crdt_buffer_clear(&play->script.output);
    return is_same;
}

static bool play_file(struct play *play, FILE *file, const char *path, bool is_rewriting)
{
    char line[LINE_BYTES];
    bool is_same = true;
    unsigned number = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        number++;
        if (strcmp(line, "----") == 0) {
            is_same = play_block_end(play, file, path, number, is_rewriting) && is_same;
            const char *at = (const char *)play->expected.data;
            for (size_t i = 0; i < play->expected.size; i++)
                number += at[i] == '\n';
            number++;
            continue;
        }
        play_line(play, line);
        if (line[0] != '\0' && line[0] != '#')
            script_line(&play->script, line);
    }
    return is_same;
}

static bool play_rewrite(const struct play *play, const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        fprintf(stderr, "sim_scenario: cannot write %s\n", path);
        return false;
    }
    size_t size = play->text.size;
    while (size > 1 && play->text.data[size - 1] == '\n' && play->text.data[size - 2] == '\n')
        size--;
    bool is_done = fwrite(play->text.data, 1, size, file) == size;
    return fclose(file) == 0 && is_done;
}

static bool play(const char *path, bool is_rewriting)
{
    static struct play playing;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        printf("# cannot read %s\n", path);
        return false;
    }
    script_open(&playing.script);
    crdt_buffer_init(&playing.text, NULL);
    crdt_buffer_init(&playing.expected, NULL);
    bool is_same = play_file(&playing, file, path, is_rewriting);
    fclose(file);
    if (is_rewriting)
        is_same = play_rewrite(&playing, path);
    crdt_buffer_close(&playing.text);
    crdt_buffer_close(&playing.expected);
    script_close(&playing.script);
    return is_same;
}

int main(int argument_count, char **arguments)
{
    bool is_rewriting = argument_count > 1 && strcmp(arguments[1], "--rewrite") == 0;
    int first = is_rewriting ? 2 : 1;
    if (argument_count <= first) {
        fputs("usage: sim_scenario [--rewrite] FILE...\n", stderr);
        return 64;
    }
    if (sodium_init() < 0)
        return 2;
    printf("1..%d\n", argument_count - first);
    bool is_good = true;
    for (int i = first; i < argument_count; i++) {
        bool is_same = play(arguments[i], is_rewriting);
        const char *name = strrchr(arguments[i], '/');
        printf("%s %d - %s\n", is_same ? "ok" : "not ok", i - first + 1,
            name == NULL ? arguments[i] : name + 1);
        fflush(stdout);
        is_good = is_good && is_same;
    }
    return is_good ? 0 : 1;
}
