/* What the C programs share: a check that says where it failed, and the setting up of structs. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "thumbforge.h"

#define CHECK(condition)                                                                   \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);        \
            exit(1);                                                                       \
        }                                                                                  \
    } while (0)

/* Longest wait for anything, in milliseconds. */
#define PATIENCE 120000u

static TfText_t text_of(const char *words)
{
    TfText_t text;
    text.data = (const uint8_t *)words;
    text.bytes = (uint32_t)strlen(words);
    text.reserved = 0;
    return text;
}

static TfOptions_t options_of(const char *data_dir, const char *project)
{
    TfOptions_t options;
    memset(&options, 0, sizeof options);
    options.struct_size = (uint32_t)sizeof options;
    options.abi = TF_ABI_VERSION;
    options.data_dir = text_of(data_dir);
    options.project = text_of(project);
    return options;
}

static TfRequest_t request_of(const char *prompt, uint64_t tag)
{
    TfRequest_t request;
    memset(&request, 0, sizeof request);
    request.struct_size = (uint32_t)sizeof request;
    request.tag = tag;
    request.asset = text_of("crate");
    request.prompt = text_of(prompt);
    request.width = 64;
    request.height = 48;
    request.tier = TF_TIER_PREVIEW;
    request.deliver = TF_DELIVER_PIXELS;
    return request;
}

#endif
