/* The bytes of a file in memory. */
#ifndef TESTS_HOST_CONTENT_H
#define TESTS_HOST_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct content {
    uint8_t *bytes;
    size_t size;
};

/* Cuts off, or adds zeros. */
void content_resize(struct content *content, size_t size);
struct content content_copy(const struct content *from);
/* Writes at an offset, behind the end too. */
void content_put(struct content *content, size_t offset, const uint8_t *bytes, size_t size);
void content_free(struct content *content);

/* False: there is no such file. */
bool content_read(const char *name, struct content *ret_content);
/* In place, so that the file keeps its inode. */
void content_write(const char *name, const struct content *content);

#endif
