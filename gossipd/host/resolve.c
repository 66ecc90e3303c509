/* Host names to addresses. See resolve.h. */
#include "gossipd/host/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct resolver {
    pthread_mutex_t mutex;
    void (*notify)(void *context); /* NULL once nobody listens any more         */
    void *context;
    struct resolve_answer *answers;
    unsigned threads;              /* that still hold a pointer to this         */
};

/* One question on its way through a thread. */
struct errand {
    struct resolver *resolver;
    struct config_address address;
    unsigned turn;
    struct resolve_answer *answer;
};

static const struct addrinfo *choose(const struct addrinfo *found, unsigned turn)
{
    unsigned count = 0;
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        count++;
    }
    const struct addrinfo *chosen = found;
    for (unsigned i = turn % count; i > 0; i--) {
        chosen = chosen->ai_next;
    }
    return chosen;
}

static void look_up(const struct config_address *address, int flags, unsigned turn,
    struct resolve_answer *answer)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(address->host, address->port, &hints, &found);
    const struct addrinfo *chosen = code == 0 ? choose(found, turn) : NULL;
    answer->is_found = chosen != NULL && chosen->ai_addrlen <= sizeof answer->address;
    if (answer->is_found) {
        memcpy(&answer->address, chosen->ai_addr, chosen->ai_addrlen);
        answer->address_bytes = chosen->ai_addrlen;
    } else {
        snprintf(answer->reason, sizeof answer->reason, "%s",
            code != 0 ? gai_strerror(code) : "the address is too long");
    }
    if (code == 0) {
        freeaddrinfo(found);
    }
}

struct resolver *resolver_new(void (*notify)(void *context), void *context)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver != NULL) {
        pthread_mutex_init(&resolver->mutex, NULL);
        resolver->notify = notify;
        resolver->context = context;
    }
    return resolver;
}

void resolver_free(struct resolver *resolver)
{
    if (resolver == NULL) {
        return;
    }
    pthread_mutex_lock(&resolver->mutex);
    resolver->notify = NULL;
    bool is_unused = resolver->threads == 0;
    pthread_mutex_unlock(&resolver->mutex);
    struct resolve_answer *answer = resolver_take(resolver);
    while (answer != NULL) {
        struct resolve_answer *next = answer->next;
        free(answer);
        answer = next;
    }
    if (is_unused) {
        pthread_mutex_destroy(&resolver->mutex);
        free(resolver);
    }
}

static void *errand_main(void *context)
{
    struct errand *errand = context;
    struct resolver *resolver = errand->resolver;
    look_up(&errand->address, 0, errand->turn, errand->answer);
    pthread_mutex_lock(&resolver->mutex);
    resolver->threads--;
    errand->answer->next = resolver->answers;
    resolver->answers = errand->answer;
    if (resolver->notify != NULL) {
        resolver->notify(resolver->context);
    }
    pthread_mutex_unlock(&resolver->mutex);
    free(errand);
    return NULL;
}

static bool thread_start(struct errand *errand)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_mutex_lock(&errand->resolver->mutex);
    bool is_started = pthread_create(&thread, &attributes, errand_main, errand) == 0;
    errand->resolver->threads += is_started ? 1 : 0;
    pthread_mutex_unlock(&errand->resolver->mutex);
    pthread_attr_destroy(&attributes);
    return is_started;
}

bool resolver_ask(struct resolver *resolver, uint64_t id, const struct config_address *address,
    unsigned turn, struct resolve_answer *ret_answer)
{
    *ret_answer = (struct resolve_answer){.id = id};
    look_up(address, AI_NUMERICHOST, turn, ret_answer);
    if (ret_answer->is_found) {
        return true;
    }
    struct errand *errand = calloc(1, sizeof *errand);
    struct resolve_answer *answer = calloc(1, sizeof *answer);
    if (errand != NULL && answer != NULL) {
        *errand = (struct errand){
            .resolver = resolver, .address = *address, .turn = turn, .answer = answer};
        answer->id = id;
        if (thread_start(errand)) {
            return false;
        }
    }
    free(errand);
    free(answer);
    snprintf(ret_answer->reason, sizeof ret_answer->reason, "no thread to ask for the name");
    return true;
}

struct resolve_answer *resolver_take(struct resolver *resolver)
{
    pthread_mutex_lock(&resolver->mutex);
    struct resolve_answer *answers = resolver->answers;
    resolver->answers = NULL;
    pthread_mutex_unlock(&resolver->mutex);
    return answers;
}
