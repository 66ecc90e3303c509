/* Replies as people read them: OK "10" (integer) 1 (nil) (error) ... [a b]. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/script.h"

#define ELEMENTS_MAX 200

void script_print(struct script *script, const char *format, ...)
{
    char text[1200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)!crdt_buffer_append(&script->output, text, strlen(text));
}

/* One value that is no array. */
static void reply_scalar(struct script *script, const uint8_t *bytes, size_t size)
{
    const char *text = (const char *)bytes + 1;
    const char *line_end = memchr(text, '\r', size - 1);
    int length = line_end == NULL ? (int)size - 1 : (int)(line_end - text);
    switch (bytes[0]) {
    case '+': script_print(script, "%.*s", length, text); break;
    case '-': script_print(script, "(error) %.*s", length, text); break;
    case ':': script_print(script, "(integer) %.*s", length, text); break;
    default:
        if (text[0] == '-')
            script_print(script, "(nil)");
        else
            script_print(script, "\"%.*s\"", (int)size - length - 5, line_end + 2);
        break;
    }
}

static int reply_compare(const void *a, const void *b)
{
    const struct crdt_bytes *left = a, *right = b;
    size_t least = left->size < right->size ? left->size : right->size;
    return memcmp(left->data, right->data, least);
}

static void reply_show(struct script *script, const uint8_t *bytes, size_t size);

static void reply_array(struct script *script, const uint8_t *bytes, size_t size)
{
    struct crdt_bytes elements[ELEMENTS_MAX];
    size_t count = 0;
    const uint8_t *at = memchr(bytes, '\n', size);
    for (size_t left = size - (size_t)(at + 1 - bytes); left > 0 && count < ELEMENTS_MAX;) {
        const uint8_t *element = bytes + size - left;
        elements[count] = (struct crdt_bytes){ element, reply_size(element, left) };
        left -= elements[count++].size;
    }
    if (script->is_sorted)
        qsort(elements, count, sizeof elements[0], reply_compare);
    script_print(script, "[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            script_print(script, " ");
        reply_show(script, elements[i].data, elements[i].size);
    }
    script_print(script, "]");
}

/* Recursion is as deep as the core nests its replies: some seven levels. */
static void reply_show(struct script *script, const uint8_t *bytes, size_t size)
{
    if (bytes[0] == '*' && bytes[1] != '-')
        reply_array(script, bytes, size);
    else
        reply_scalar(script, bytes, size);
}

void script_reply(struct script *script, struct crdt_bytes reply)
{
    reply_show(script, reply.data, reply.size);
}
