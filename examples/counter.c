/* A counter in ten lines. */
#include <crdt.h>
#include <stdio.h>

int main(void)
{
    struct crdt_options options;
    struct crdt_document *document;
    struct crdt_transaction *transaction;
    crdt_options_init(&options);
    options.generation = 1; /* a service draws a random one: see crdt.h */
    if (crdt_open(&options, &document) != CRDT_OK ||
        crdt_begin(document, 0, &transaction) != CRDT_OK ||
        crdt_counter_add(transaction, crdt_root(), 42) != CRDT_OK)
        return 1;
    crdt_commit(transaction);
    printf("%lld\n", (long long)crdt_counter_value(document, crdt_root()));
    crdt_close(document);
    return 0;
}
