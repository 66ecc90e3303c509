/* The state S of a document as bytes: every live entry in canonical order. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/invariants.h"

static void state_bytes(crypto_generichash_state *hash, const void *data, size_t size)
{
    crypto_generichash_update(hash, (const uint8_t *)&size, sizeof size);
    if (size > 0)
        crypto_generichash_update(hash, data, size);
}

static void state_number(crypto_generichash_state *hash, uint64_t number)
{
    crypto_generichash_update(hash, (const uint8_t *)&number, sizeof number);
}

static bool state_entry(void *context, const struct crdt_entry *entry)
{
    crypto_generichash_state *hash = context;
    state_number(hash, entry->path.count);
    for (size_t i = 0; i < entry->path.count; i++)
        state_bytes(hash, entry->path.keys[i].data, entry->path.keys[i].size);
    state_number(hash, (uint64_t)entry->type);
    if (entry->element != NULL)
        state_bytes(hash, entry->element->data, entry->element->size);
    state_bytes(hash, entry->dot.origin.key, CRDT_KEY_BYTES);
    state_number(hash, entry->dot.origin.generation);
    state_number(hash, entry->dot.seq);
    state_number(hash, entry->version);
    state_number(hash, (uint64_t)entry->amount);
    state_number(hash, entry->hlc);
    state_bytes(hash, entry->value.data, entry->value.size);
    return true;
}

bool state_hash(const struct crdt_document *document, uint8_t ret_hash[static CRDT_HASH_BYTES])
{
    crypto_generichash_state hash;
    crypto_generichash_init(&hash, NULL, 0, CRDT_HASH_BYTES);
    if (crdt_visit(document, crdt_root(), state_entry, &hash) != CRDT_OK)
        return false;
    crypto_generichash_final(&hash, ret_hash, CRDT_HASH_BYTES);
    return true;
}

static void state_text(struct crdt_buffer *text, const char *piece)
{
    (void)!crdt_buffer_append(text, piece, strlen(piece));
}

static void state_key(struct crdt_buffer *text, struct crdt_bytes key)
{
    state_text(text, "/");
    (void)!crdt_buffer_append(text, key.data, key.size);
}

static bool state_line(void *context, const struct crdt_entry *entry)
{
    struct crdt_buffer *text = context;
    for (size_t i = 0; i < entry->path.count; i++)
        state_key(text, entry->path.keys[i]);
    if (entry->element != NULL)
        state_key(text, *entry->element);
    char rest[160];
    snprintf(rest, sizeof rest,
        " type %d dot %02x%02x.%016llx:%llu version %llu amount %lld hlc %llu '%.*s'\n",
        (int)entry->type, entry->dot.origin.key[0], entry->dot.origin.key[1],
        (unsigned long long)entry->dot.origin.generation, (unsigned long long)entry->dot.seq,
        (unsigned long long)entry->version, (long long)entry->amount,
        (unsigned long long)entry->hlc, (int)(entry->value.size < 20 ? entry->value.size : 20),
        entry->value.size == 0 ? "" : (const char *)entry->value.data);
    state_text(text, rest);
    return true;
}

/* The line that starts at `at`, as a string. */
static void state_copy(const struct crdt_buffer *text, size_t at, char *line, size_t line_bytes)
{
    size_t size = 0;
    while (at + size < text->size && text->data[at + size] != '\n' && size + 1 < line_bytes)
        size++;
    if (size > 0)
        memcpy(line, text->data + at, size);
    line[size] = '\0';
}

void state_difference(const struct crdt_document *a, const struct crdt_document *b, char *ret_text,
    size_t text_bytes)
{
    struct crdt_buffer texts[2];
    crdt_buffer_init(&texts[0], NULL);
    crdt_buffer_init(&texts[1], NULL);
    (void)!crdt_visit(a, crdt_root(), state_line, &texts[0]);
    (void)!crdt_visit(b, crdt_root(), state_line, &texts[1]);
    size_t at = 0, line = 0;
    while (at < texts[0].size && at < texts[1].size && texts[0].data[at] == texts[1].data[at]) {
        if (texts[0].data[at] == '\n')
            line = at + 1;
        at++;
    }
    char lines[2][300];
    state_copy(&texts[0], line, lines[0], sizeof lines[0]);
    state_copy(&texts[1], line, lines[1], sizeof lines[1]);
    snprintf(ret_text, text_bytes, "here '%s', there '%s'", lines[0], lines[1]);
    crdt_buffer_close(&texts[0]);
    crdt_buffer_close(&texts[1]);
}
