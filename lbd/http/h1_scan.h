/*
 * h1_scan - find the first byte that ends a run of harmless ones: 16 at a time with SSE2, or one by
 * one.
 *
 * Each scanner exists twice. The twins give the same answer for the same bytes (test_h1_scan.c
 * compares them on random and adversarial input); h1_scan_text and its like are the fast one, or
 * the scalar one on other machines and with H1_HEAD_SCALAR. None reads outside [at, end): what does
 * not fill 16 bytes is looked at one by one.
 *
 * H1_SCAN_TALLY(bytes) is a hook for the test that counts the work; it is nothing in the product.
 *
 * Threads: any.
 */
#ifndef LBD_HTTP_H1_SCAN_H
#define LBD_HTTP_H1_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/compiler.h"

#ifdef __SSE2__
#    include <emmintrin.h>
#endif

#ifndef H1_SCAN_TALLY
#    define H1_SCAN_TALLY(bytes) ((void)0)
#endif

/* What a byte may be part of. */
enum {
    H1_TEXT = 1,  /* field values: all but control characters; HTAB is one of them (RFC 9110 5.5) */
    H1_NAME = 2,  /* field names as R9 takes them: [A-Za-z0-9-] */
    H1_TOKEN = 4, /* RFC 9110 5.6.2: methods */
    H1_TARGET = 8, /* request targets: visible ASCII but '#' */
    H1_PLAIN = 16, /* of H1_TARGET, what needs no second look in a path; a '.' after '/' does */
    H1_HOST = 32,  /* reg-names as R8 takes them: unreserved */
    H1_DIGIT = 64, /* 0-9 */
};

extern const uint8_t h1_class[256];

static inline bool h1_is(char c, unsigned classes)
{
    return (h1_class[(unsigned char)c] & classes) != 0;
}

/* -- the scalar twins -- */

static inline const char *h1_scan_class(const char *at, const char *end, unsigned classes)
{
    const char *from = at;
    while (at < end && h1_is(*at, classes)) {
        at++;
    }
    H1_SCAN_TALLY((size_t)(at - from));
    (void)from;
    return at;
}

/* The first control character other than HTAB, or end. */
static inline const char *h1_scan_text_scalar(const char *at, const char *end)
{
    return h1_scan_class(at, end, H1_TEXT);
}

/* The first byte that no name holds, or end. */
static inline const char *h1_scan_name_scalar(const char *at, const char *end)
{
    return h1_scan_class(at, end, H1_NAME);
}

/* The first byte that no target holds, or end. *query_at: the first '?' before it, or the result.
 * *plain: nothing before *query_at asks for a second look (R10): no '%', ';', '\' and no '.' after
 * a '/'. `at` is not the middle of a path. */
static inline const char *h1_scan_target_scalar(const char *at, const char *end,
                                                const char **query_at, bool *plain)
{
    const char *from = at;
    char before = '\0';
    bool is_plain = true;
    while (at < end && *at != '?' && h1_is(*at, H1_TARGET)) {
        is_plain = is_plain && h1_is(*at, H1_PLAIN) && !(*at == '.' && before == '/');
        before = *at++;
    }
    *query_at = at;
    *plain = is_plain;
    while (at < end && h1_is(*at, H1_TARGET)) {
        at++;
    }
    H1_SCAN_TALLY((size_t)(at - from));
    (void)from;
    return at;
}

/* -- sixteen at a time -- */

#ifdef __SSE2__
static inline __m128i h1_load(const char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static inline unsigned h1_mask(__m128i lanes)
{
    return (unsigned)_mm_movemask_epi8(lanes);
}

/* Lanes (as unsigned bytes) that are at most `most`. */
static inline __m128i h1_at_most(__m128i bytes, char most)
{
    return _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(most)), bytes);
}

/* Bits of the control characters; HTAB is among them. */
static inline unsigned h1_mask_controls(__m128i bytes)
{
    return h1_mask(
        _mm_or_si128(h1_at_most(bytes, 0x1f), _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f))));
}

/* Bits of what no name holds. */
static inline unsigned h1_mask_not_name(__m128i bytes)
{
    __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    __m128i letter = h1_at_most(_mm_sub_epi8(lower, _mm_set1_epi8('a')), 25);
    __m128i digit = h1_at_most(_mm_sub_epi8(bytes, _mm_set1_epi8('0')), 9);
    __m128i dash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-'));
    return h1_mask(_mm_or_si128(_mm_or_si128(letter, digit), dash)) ^ 0xffffU;
}

static inline const char *h1_scan_text_sse2(const char *at, const char *end)
{
    while (end - at >= 16) {
        unsigned stop = h1_mask_controls(h1_load(at));
        if (stop == 0) {
            at += 16;
            H1_SCAN_TALLY(16U);
            continue;
        }
        at += __builtin_ctz(stop);
        H1_SCAN_TALLY(16U);
        if (LB_LIKELY(*at != '\t')) {
            return at;
        }
        at++;
    }
    return h1_scan_text_scalar(at, end);
}

static inline const char *h1_scan_name_sse2(const char *at, const char *end)
{
    while (end - at >= 16) {
        unsigned stop = h1_mask_not_name(h1_load(at));
        H1_SCAN_TALLY(16U);
        if (stop != 0) {
            return at + __builtin_ctz(stop);
        }
        at += 16;
    }
    return h1_scan_name_scalar(at, end);
}

/* Lanes of what no target holds. As signed numbers, controls, SP and all above 0x7f are below 0x21.
 */
static inline __m128i h1_not_target(__m128i bytes)
{
    return _mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x21)),
                        _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)),
                                     _mm_cmpeq_epi8(bytes, _mm_set1_epi8('#'))));
}

static inline const char *h1_scan_query_sse2(const char *at, const char *end)
{
    while (end - at >= 16) {
        unsigned stop = h1_mask(h1_not_target(h1_load(at)));
        H1_SCAN_TALLY(16U);
        if (stop != 0) {
            return at + __builtin_ctz(stop);
        }
        at += 16;
    }
    return h1_scan_class(at, end, H1_TARGET);
}

static inline const char *h1_scan_target_sse2(const char *at, const char *end,
                                              const char **query_at, bool *plain)
{
    unsigned suspects = 0;    /* of the bytes before the query, those that ask for a second look */
    unsigned after_slash = 0; /* 1: the byte before this block is a '/' */
    while (end - at >= 16) {
        __m128i bytes = h1_load(at);
        unsigned stop =
            h1_mask(_mm_or_si128(h1_not_target(bytes), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('?'))));
        unsigned slash = h1_mask(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('/')));
        unsigned dot = h1_mask(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('.')));
        unsigned odd =
            h1_mask(_mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('%')),
                                 _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(';')),
                                              _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')))));
        odd |= dot & (slash << 1U | after_slash);
        H1_SCAN_TALLY(16U);
        if (stop == 0) {
            suspects |= odd;
            after_slash = slash >> 15U;
            at += 16;
            continue;
        }
        unsigned first = stop & (0U - stop);
        suspects |= odd & (first - 1U);
        at += __builtin_ctz(stop);
        *query_at = at;
        *plain = suspects == 0;
        return *at == '?' ? h1_scan_query_sse2(at, end) : at;
    }

    bool rest_plain;
    bool dot_first = after_slash != 0 && at < end && *at == '.';
    at = h1_scan_target_scalar(at, end, query_at, &rest_plain);
    *plain = suspects == 0 && rest_plain && !dot_first;
    return at;
}
#endif

/* -- the ones to call -- */

#if defined(__SSE2__) && !defined(H1_HEAD_SCALAR)
#    define h1_scan_text   h1_scan_text_sse2
#    define h1_scan_name   h1_scan_name_sse2
#    define h1_scan_target h1_scan_target_sse2
#else
#    define h1_scan_text   h1_scan_text_scalar
#    define h1_scan_name   h1_scan_name_scalar
#    define h1_scan_target h1_scan_target_scalar
#endif

#endif
