#include "tests/host/content.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/claim.h"

void content_resize(struct content *content, size_t size)
{
    uint8_t *bytes = realloc(content->bytes, size + 1);
    claim(bytes != NULL);
    if (size > content->size) {
        memset(bytes + content->size, 0, size - content->size);
    }
    content->bytes = bytes;
    content->size = size;
}

struct content content_copy(const struct content *from)
{
    struct content copy = {NULL, 0};
    content_resize(&copy, from->size);
    if (from->size > 0) {
        memcpy(copy.bytes, from->bytes, from->size);
    }
    return copy;
}

void content_put(
    struct content *content, size_t offset, const uint8_t *bytes, size_t size)
{
    if (offset + size > content->size) {
        content_resize(content, offset + size);
    }
    memcpy(content->bytes + offset, bytes, size);
}

void content_free(struct content *content)
{
    free(content->bytes);
    *content = (struct content){NULL, 0};
}

bool content_read(const char *name, struct content *ret_content)
{
    FILE *stream = fopen(name, "rb");
    struct stat facts;
    if (stream == NULL) {
        return false;
    }
    claim(fstat(fileno(stream), &facts) == 0);
    content_resize(ret_content, (size_t)facts.st_size);
    claim(fread(ret_content->bytes, 1, ret_content->size, stream) == ret_content->size);
    claim(fclose(stream) == 0);
    return true;
}

void content_write(const char *name, const struct content *content)
{
    FILE *stream = fopen(name, "wb");
    claim(stream != NULL);
    claim(fwrite(content->bytes, 1, content->size, stream) == content->size);
    claim(fclose(stream) == 0);
}
