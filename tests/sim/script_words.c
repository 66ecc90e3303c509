/* A line of a scenario in words. */
#include "tests/sim/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct words words_split(const char *line)
{
    struct words words = { .count = 0 };
    while (words.count < SCRIPT_WORDS_MAX) {
        line += strspn(line, " ");
        size_t size = strcspn(line, " ");
        if (size == 0)
            break;
        snprintf(words.text[words.count++], ARGUMENT_BYTES, "%.*s", (int)size, line);
        line += size;
    }
    return words;
}

/* The node that a word names, 1 and up; NODE_COUNT_MAX when it is none. */
size_t words_node(const struct script *script, const struct words *words, size_t at)
{
    if (at >= words->count)
        return NODE_COUNT_MAX;
    unsigned long number = strtoul(words->text[at], NULL, 10);
    return number >= 1 && number <= script->sim.node_count ? number - 1 : NODE_COUNT_MAX;
}

/* What stands behind "name=" in a word; NULL when no word has it. */
const char *words_value(const struct words *words, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 1; i < words->count; i++)
        if (strncmp(words->text[i], name, size) == 0 && words->text[i][size] == '=')
            return words->text[i] + size + 1;
    return NULL;
}

enum core_durability words_durability(
    const struct words *words, enum core_durability otherwise)
{
    const char *text = words_value(words, "durability");
    if (text == NULL)
        return otherwise;
    return strcmp(text, "always") == 0 ? CORE_ALWAYS
        : strcmp(text, "no") == 0      ? CORE_NO
                                       : CORE_EVERYSEC;
}
