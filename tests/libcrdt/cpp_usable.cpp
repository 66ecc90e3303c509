// The public header as a C++ program sees it: two documents converge.
#include <crdt.h>

#include <cstring>

namespace {

crdt_document *open_document(unsigned char key)
{
    crdt_options options;
    crdt_options_init(&options);
    std::memset(options.key, key, sizeof options.key);
    options.generation = 1;
    crdt_document *document = nullptr;
    return crdt_open(&options, &document) == CRDT_OK ? document : nullptr;
}

bool increment(crdt_document *document)
{
    crdt_transaction *transaction = nullptr;
    if (crdt_begin(document, 1000, &transaction) != CRDT_OK)
        return false;
    crdt_status status = crdt_counter_add(transaction, crdt_root(), 1);
    crdt_commit(transaction);
    return status == CRDT_OK;
}

} // namespace

int main()
{
    crdt_document *a = open_document(1), *b = open_document(2);
    bool is_ok = a != nullptr && b != nullptr && increment(a) && increment(b);
    crdt_bytes batch;
    is_ok = is_ok && crdt_seal(a, &batch) == CRDT_OK && crdt_merge(b, batch) == CRDT_OK;
    is_ok = is_ok && crdt_counter_value(b, crdt_root()) == 2;
    crdt_close(a);
    crdt_close(b);
    return is_ok ? 0 : 1;
}
