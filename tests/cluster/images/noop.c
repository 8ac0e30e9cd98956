/* A container that does nothing, successfully: what is left of its time is the cluster's own.
 *
 * Told of a trial (docs/trial-image.md) it leaves figures of its own for it, drawn from the architecture's name, so that
 * the same image and command can be a trial of an experiment and a bare Job beside it. It speaks just enough HTTP.
 */
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FAILED = 1 };

/* The string value of a key that the document has once; it needs no escapes there. */
static int field(const char *json, const char *key, char *value, size_t size) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":\"", key);
    const char *start = strstr(json, quoted);
    if (start == NULL) return 0;
    start += strlen(quoted);
    const char *end = strchr(start, '"');
    if (end == NULL || (size_t)(end - start) >= size) return 0;
    memcpy(value, start, end - start);
    value[end - start] = '\0';
    return 1;
}

/* FNV-1a. */
static uint32_t drawn(const char *text) {
    uint32_t hash = 2166136261u;
    for (; *text; text++) hash = (hash ^ (uint8_t)*text) * 16777619u;
    return hash;
}

static int connected(const char *host, const char *port) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(host, port, &hints, &found) != 0) return -1;
    int there = socket(found->ai_family, found->ai_socktype, 0);
    if (connect(there, found->ai_addr, found->ai_addrlen) != 0) return -1;
    freeaddrinfo(found);
    return there;
}

/* PUT a document; the status of the answer. */
static int put(const char *store, const char *token, const char *name, const char *body) {
    char host[256], port[8] = "80", request[4096], answer[64];
    if (sscanf(store, "http://%255[^:/]:%7[0-9]", host, port) < 1) return 0;
    int size = snprintf(request, sizeof request,
                        "PUT /refs/%s HTTP/1.1\r\nHost: %s:%s\r\nAuthorization: Bearer %s\r\n"
                        "Content-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                        name, host, port, token, strlen(body), body);
    int there = connected(host, port), status = 0;
    if (there < 0 || size >= (int)sizeof request || write(there, request, size) != size) return 0;
    ssize_t got = read(there, answer, sizeof answer - 1);
    if (got > 0) answer[got] = '\0', sscanf(answer, "HTTP/1.%*d %d", &status);
    close(there);
    return status;
}

int main(void) {
    const char *job = getenv("PFPNAS_JOB"), *store = getenv("PFPNAS_ARTIFACTS"), *token = getenv("PFPNAS_ARTIFACTS_TOKEN");
    char uid[128], architecture[1024], manifest[512];
    if (job == NULL) return 0;
    if (store == NULL || !field(job, "uid", uid, sizeof uid) ||
        !field(job, "architecture", architecture, sizeof architecture)) {
        fprintf(stderr, "no trial, or no artifact store\n");
        return FAILED;
    }
    uint32_t chance = drawn(architecture);
    snprintf(manifest, sizeof manifest,
             "{\"uid\":\"%s\",\"outcome\":\"Done\",\"figures\":{\"accuracy\":%.4f,\"latencyMilliseconds\":%.3f}}", uid,
             0.5 + (chance & 1023) / 2048.0, 1.0 + (chance >> 22) / 1024.0);
    int status = put(store, token == NULL ? "" : token, uid, manifest);
    if (status / 100 == 2) return 0;
    fprintf(stderr, "the artifact store at %s answers %d\n", store, status);
    return FAILED;
}
