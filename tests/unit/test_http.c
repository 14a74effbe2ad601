/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of HTTP/1.1: request bytes, what must come back, and the section that says so.  Each case runs
 * whole, byte by byte, and cut in two at every offset, and the output must be the same to the last byte. */
#include "test_http.h"

#define H "Host: x\r\n"
#define GET(target) "GET " target " HTTP/1.1\r\n" H
#define POST(fields) "POST /hello HTTP/1.1\r\n" H fields "\r\n"
#define CHUNKED POST("Transfer-Encoding: chunked\r\n")
#define NEXT GET("/hello") "\r\n"
#define SMUGGLED GET("/smuggled") "\r\n"

enum { MORE = 1, LAST = 2 };    /* the connection goes on, or ends behind the last reply */

/* `statuses`: of all replies, in order. */
struct http_case {
    const char *section, *name, *bytes, *statuses;
    int         then;
};

static const struct http_case cases[] = {
    /* message syntax */
    { "9112 2.1", "a request", NEXT, "200", MORE },
    { "9112 2.2", "an empty line before a request", "\r\n" NEXT, "200", MORE },
    { "9112 2.2", "an empty line before each request", "\r\n" NEXT "\r\n" NEXT, "200 200", MORE },
    { "9112 2.2", "two empty lines", "\r\n\r\n" NEXT, "400", LAST },
    { "9112 2.2", "a bare LF before a request", "\n" NEXT, "400", LAST },
    { "9112 2.2", "a bare CR before a request", "\rGET / HTTP/1.1\r\n" H "\r\n", "400", LAST },
    { "9112 2.2", "bare LF lines", "GET /hello HTTP/1.1\nHost: x\n\n", "400", LAST },
    { "9112 2.2", "a bare LF behind a field", "GET /hello HTTP/1.1\r\nHost: x\n\r\n", "400", LAST },
    { "9112 2.2", "a bare LF at the end", GET("/hello") "\n", "400", LAST },
    { "9112 2.2", "bare CR lines", "GET /hello HTTP/1.1\rHost: x\r\r", "400", LAST },
    { "9112 2.2", "a bare CR in a value", GET("/hello") "A: b\rc\r\n\r\n", "400", LAST },
    { "9112 2.2", "two CRs", GET("/hello") "A: b\r\r\n\r\n", "400", LAST },
    { "9112 2.2", "a blank before the first field", "GET /hello HTTP/1.1\r\n Host: x\r\n\r\n", "400", LAST },
    { "9112 2.2", "a TLS hello", "\x16\x03\x01\x02", "400", LAST },

    /* request line */
    { "9112 3", "two spaces behind the method", "GET  /hello HTTP/1.1\r\n" H "\r\n", "400", LAST },
    { "9112 3", "two spaces behind the target", "GET /hello  HTTP/1.1\r\n" H "\r\n", "400", LAST },
    { "9112 3", "a tab for a space", "GET\t/hello HTTP/1.1\r\n" H "\r\n", "400", LAST },
    { "9112 3", "a tab behind the target", "GET /hello\tHTTP/1.1\r\n" H "\r\n", "400", LAST },
    { "9112 3", "a space at the end", "GET /hello HTTP/1.1 \r\n" H "\r\n", "400", LAST },
    { "9112 3", "a space at the start", " GET /hello HTTP/1.1\r\n" H "\r\n", "400", LAST },
    { "9112 3", "no version", "GET /hello\r\n" H "\r\n", "400", LAST },
    { "9112 3", "no target", "GET HTTP/1.1\r\n" H "\r\n", "400", LAST },
    { "9112 3.1", "no method", "/hello HTTP/1.1\r\n" H "\r\n", "400", LAST },
    { "9112 3.1", "a method that is no token", "G(T /hello HTTP/1.1\r\n" H "\r\n", "400", LAST },
    { "9112 3.1", "an unknown method", "BREW /hello HTTP/1.1\r\n" H "\r\n" NEXT, "501 200", MORE },
    { "9110 9.1", "methods have a case", "get /hello HTTP/1.1\r\n" H "\r\n" NEXT, "501 200", MORE },
    { "9112 2.3", "a lower case version", "GET /hello http/1.1\r\n" H "\r\n", "400", LAST },
    { "9112 2.3", "a version of one digit", "GET /hello HTTP/1\r\n" H "\r\n", "400", LAST },
    { "9112 2.3", "a version of three digits", "GET /hello HTTP/1.10\r\n" H "\r\n", "400", LAST },
    { "9112 2.3", "a version with a blank", "GET /hello HTTP/ 1.1\r\n" H "\r\n", "400", LAST },
    { "9110 2.5", "a higher minor version", "GET /hello HTTP/1.9\r\n" H "\r\n", "200", MORE },
    { "9110 15.6.6", "version 2.0", "GET /hello HTTP/2.0\r\n" H "\r\n" SMUGGLED, "505", LAST },
    { "9110 15.6.6", "version 0.9", "GET /hello HTTP/0.9\r\n" H "\r\n", "505", LAST },
    { "9113 3.4", "the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505", LAST },
    { "9112 3.2", "a fragment", GET("/hello#a") "\r\n", "400", LAST },
    { "9112 3.2", "a quote in the target", GET("/he\"llo") "\r\n", "400", LAST },
    { "9112 3.2", "a byte of UTF-8 in the target", GET("/h\xc3\xa4") "\r\n", "400", LAST },
    { "9112 3.2", "what browsers leave unencoded", GET("/hello?a|b^c`d{e}f\\g[h]") "\r\n", "200", MORE },
    { "9112 3.2", "what browsers leave unencoded in a path", GET("/[a]|b") "\r\n" NEXT, "404 200", MORE },
    { "9112 3.2", "a backslash in a path", GET("/a\\b") "\r\n", "400", LAST },
    { "9112 3.2", "a caret in a path", GET("/a^b") "\r\n", "400", LAST },
    { "9112 3.2", "a backtick in a path", GET("/a`b") "\r\n", "400", LAST },
    { "9112 3.2", "a brace in a path", GET("/{a?b") "\r\n", "400", LAST },
    { "9112 3.2", "a brace in the path of absolute-form", GET("http://x/}") "\r\n", "400", LAST },
    { "9112 3.2.1", "a query", GET("/hello?a=/../b&c=%00") "\r\n", "200", MORE },
    { "9112 3.2.1", "an empty query", GET("/hello?") "\r\n", "200", MORE },
    { "9112 3.2.1", "no slash", GET("hello") "\r\n", "400", LAST },
    { "9112 3.2.2", "absolute-form", GET("http://x/hello") "\r\n" NEXT, "200 200", MORE },
    { "9112 3.2.2", "absolute-form, case and port", GET("HTTP://X.example:8080/hello?a") "\r\n", "200",
      MORE },
    { "9112 3.2.2", "absolute-form without a path", GET("http://x") "\r\n", "403", MORE },
    { "9112 3.2.2", "absolute-form with a query only", GET("http://x?a") "\r\n", "403", MORE },
    { "9112 3.2.2", "absolute-form needs a Host", "GET http://x/hello HTTP/1.1\r\n\r\n", "400", LAST },
    { "9110 4.2.1", "absolute-form without a host", GET("http:///hello") "\r\n", "400", LAST },
    { "9110 4.2.4", "absolute-form with a user", GET("http://a@x/hello") "\r\n", "400", LAST },
    { "9110 7.4", "https where nothing is secured", GET("https://x/hello") "\r\n", "421", LAST },
    { "9112 3.2.2", "another scheme", GET("ftp://x/hello") "\r\n", "400", LAST },
    { "9112 3.2.3", "authority-form", GET("x:80") "\r\n", "400", LAST },
    { "9110 9.3.6", "CONNECT", "CONNECT x:80 HTTP/1.1\r\n" H "\r\n" SMUGGLED, "405", LAST },
    { "9110 9.3.6", "CONNECT without a port", "CONNECT x HTTP/1.1\r\n" H "\r\n", "400", LAST },
    { "9110 9.3.6", "CONNECT to a path", "CONNECT /hello HTTP/1.1\r\n" H "\r\n", "400", LAST },
    { "9112 3.2.4", "OPTIONS *", "OPTIONS * HTTP/1.1\r\n" H "\r\n" NEXT, "204 200", MORE },
    { "9112 3.2.4", "GET *", GET("*") "\r\n", "400", LAST },

    /* Host */
    { "9112 3.2", "no Host", "GET /hello HTTP/1.1\r\n\r\n" SMUGGLED, "400", LAST },
    { "9112 3.2", "no Host in HTTP/1.0", "GET /hello HTTP/1.0\r\n\r\n", "200", LAST },
    { "9112 3.2", "two Hosts", GET("/hello") "Host: x\r\n\r\n", "400", LAST },
    { "9112 3.2", "two Hosts in HTTP/1.0", "GET /hello HTTP/1.0\r\n" H H "\r\n", "400", LAST },
    { "9112 3.2", "an empty Host", "GET /hello HTTP/1.1\r\nHost:\r\n\r\n", "400", LAST },
    { "9112 3.2", "a Host with a blank", "GET /hello HTTP/1.1\r\nHost: a b\r\n\r\n", "400", LAST },
    { "9112 3.2", "a Host with a path", "GET /hello HTTP/1.1\r\nHost: a/b\r\n\r\n", "400", LAST },
    { "9112 3.2", "a Host with a user", "GET /hello HTTP/1.1\r\nHost: a@b\r\n\r\n", "400", LAST },
    { "9112 3.2", "a Host with a scheme", "GET /hello HTTP/1.1\r\nHost: http://a\r\n\r\n", "400", LAST },
    { "9112 3.2", "a Host with a bad port", "GET /hello HTTP/1.1\r\nHost: a:b\r\n\r\n", "400", LAST },
    { "9112 3.2", "a Host with a huge port", "GET /hello HTTP/1.1\r\nHost: a:65536\r\n\r\n", "400", LAST },
    { "9112 3.2", "a Host with a port", "GET /hello HTTP/1.1\r\nHost: a:65535\r\n\r\n", "200", MORE },
    { "3986 3.2.3", "a Host with an empty port", "GET /hello HTTP/1.1\r\nHost: a:\r\n\r\n", "200", MORE },
    { "3986 3.2.2", "a Host that is a literal", "GET /hello HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "200",
      MORE },
    { "3986 3.2.2", "a literal without an end", "GET /hello HTTP/1.1\r\nHost: [::1\r\n\r\n", "400", LAST },
    { "3986 3.2.2", "a literal that is none", "GET /hello HTTP/1.1\r\nHost: [x]\r\n\r\n", "400", LAST },
    { "3986 3.2.2", "an empty literal", "GET /hello HTTP/1.1\r\nHost: []\r\n\r\n", "400", LAST },
    { "3986 3.2.2", "a literal of three groups", "GET /hello HTTP/1.1\r\nHost: [1:2:3]\r\n\r\n", "400", LAST },
    { "3986 3.2.2", "a literal with two gaps", "GET /hello HTTP/1.1\r\nHost: [::1::2]\r\n\r\n", "400", LAST },
    { "3986 3.2.2", "a literal of nine groups", "GET /hello HTTP/1.1\r\nHost: [1:2:3:4:5:6:7:8:9]\r\n\r\n", "400",
      LAST },
    { "3986 3.2.2", "a literal that is an IPv4 address", "GET /hello HTTP/1.1\r\nHost: [1.2.3.4]\r\n\r\n", "400",
      LAST },
    { "3986 3.2.2", "a literal with an IPv4 address in it", "GET /hello HTTP/1.1\r\nHost: [::ffff:1.2.3.4]\r\n\r\n",
      "200", MORE },
    { "3986 3.2.2", "a literal with a zone", "GET /hello HTTP/1.1\r\nHost: [::1%25lo]\r\n\r\n", "400", LAST },
    { "3986 3.2.2", "a literal of the future", "GET /hello HTTP/1.1\r\nHost: [v1f.a:b]\r\n\r\n", "200", MORE },
    { "3986 3.2.2", "a literal of no future", "GET /hello HTTP/1.1\r\nHost: [v.a]\r\n\r\n", "400", LAST },
    { "3986 3.2.2", "a literal of an empty future", "GET /hello HTTP/1.1\r\nHost: [v1.]\r\n\r\n", "400", LAST },
    { "3986 3.2.2", "a literal of a bad future", "GET /hello HTTP/1.1\r\nHost: [v1.%41]\r\n\r\n", "400", LAST },
    { "3986 3.2.2", "a Host with a bad escape", "GET /hello HTTP/1.1\r\nHost: a%4\r\n\r\n", "400", LAST },
    { "3986 3.2.2", "a Host with an escape", "GET /hello HTTP/1.1\r\nHost: a%41\r\n\r\n", "200", MORE },

    /* fields */
    { "9112 5.1", "a space before the colon", GET("/hello") "A : b\r\n\r\n" SMUGGLED, "400", LAST },
    { "9112 5.1", "a tab before the colon", GET("/hello") "A\t: b\r\n\r\n", "400", LAST },
    { "9112 5", "no colon", GET("/hello") "A\r\n\r\n", "400", LAST },
    { "9112 5", "no name", GET("/hello") ": b\r\n\r\n", "400", LAST },
    { "9110 5.1", "a name that is no token", GET("/hello") "A(b): c\r\n\r\n", "400", LAST },
    { "9110 5.1", "a name with a high byte", GET("/hello") "A\xe4: c\r\n\r\n", "400", LAST },
    { "9112 5.2", "a folded line", GET("/hello") "A: b\r\n c\r\n\r\n" SMUGGLED, "400", LAST },
    { "9112 5.2", "a folded line with a tab", GET("/hello") "A: b\r\n\tc\r\n\r\n", "400", LAST },
    { "9110 5.5", "a control byte in a value", GET("/hello") "A: b\x01\r\n\r\n", "400", LAST },
    { "9110 5.5", "DEL in a value", GET("/hello") "A: b\x7f\r\n\r\n", "400", LAST },
    { "9110 5.5", "a tab and high bytes in a value", GET("/hello") "A: b\tc\xff\x80\r\n\r\n", "200", MORE },
    { "9110 5.5", "blanks around a value", GET("/hello") "Connection: \t close \t\r\n\r\n", "200", LAST },
    { "9110 5.5", "no blank before a value", GET("/hello") "Connection:close\r\n\r\n", "200", LAST },
    { "9110 5.5", "an empty value", GET("/hello") "A:\r\nB: \r\n\r\n", "200", MORE },
    { "9110 5.1", "names have no case", "GET /hello HTTP/1.1\r\nhOST: x\r\nCONNECTION: close\r\n\r\n", "200",
      LAST },
    { "9110 5.1", "an underscore is not a hyphen", GET("/hello") "Content_Length: 50\r\n\r\n" NEXT, "200 200",
      MORE },

    /* bodies by length */
    { "9112 6.3", "a body", POST("Content-Length: 5\r\n") "hello" NEXT, "200 200", MORE },
    { "9112 6.3", "an empty body", POST("Content-Length: 0\r\n") NEXT, "200 200", MORE },
    { "9112 6.3", "no body is announced", POST("") NEXT, "200 200", MORE },
    { "9112 6.3", "a body that looks like a request", POST("Content-Length: 35\r\n") SMUGGLED NEXT, "200 200",
      MORE },
    { "9110 9.3.1", "a body with GET", GET("/hello") "Content-Length: 2\r\n\r\nab" NEXT, "200 200", MORE },
    { "9110 15.5.6", "a body for what is refused",
      "POST /a.txt HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nab" NEXT, "405 200", MORE },
    { "9112 6.3", "a length that is no number", POST("Content-Length: x\r\n") SMUGGLED, "400", LAST },
    { "9112 6.3", "an empty length", POST("Content-Length:\r\n"), "400", LAST },
    { "9112 6.3", "a length with a plus", POST("Content-Length: +5\r\n"), "400", LAST },
    { "9112 6.3", "a negative length", POST("Content-Length: -1\r\n"), "400", LAST },
    { "9112 6.3", "a hexadecimal length", POST("Content-Length: 0x5\r\n"), "400", LAST },
    { "9112 6.2", "a length with leading zeros", POST("Content-Length: 005\r\n") "hello" NEXT, "200 200", MORE },
    { "9112 6.3", "a length with a blank inside", POST("Content-Length: 5 5\r\n"), "400", LAST },
    { "9112 6.3", "two lengths", POST("Content-Length: 5\r\nContent-Length: 6\r\n"), "400", LAST },
    { "9112 6.3", "the same length twice", POST("Content-Length: 5\r\nContent-Length: 5\r\n"), "400", LAST },
    { "9112 6.3", "a list of lengths", POST("Content-Length: 5, 5\r\n"), "400", LAST },
    { "9110 15.5.14", "a body at the limit", POST("Content-Length: 1000\r\n"), "", MORE },
    { "9110 15.5.14", "a body above the limit", POST("Content-Length: 1001\r\n") SMUGGLED, "413", LAST },
    { "9110 8.6", "a length of 64 bits", POST("Content-Length: 18446744073709551615\r\n"), "413", LAST },
    { "9110 8.6", "a length above 64 bits", POST("Content-Length: 18446744073709551621\r\n") "hello", "413",
      LAST },
    { "9110 8.6", "a length of 40 digits",
      POST("Content-Length: 1000000000000000000000000000000000000000\r\n"), "413", LAST },

    /* Transfer-Encoding */
    { "9112 6.1", "length and coding", POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") SMUGGLED,
      "400", LAST },
    { "9112 6.1", "coding and length", POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") SMUGGLED,
      "400", LAST },
    { "9112 6.1", "a coding in HTTP/1.0",
      "POST /hello HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400", LAST },
    { "9112 6.1", "two codings", POST("Transfer-Encoding: gzip, chunked\r\n"), "501", LAST },
    { "9112 6.1", "two codings in two lines",
      POST("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n") SMUGGLED, "501", LAST },
    { "9112 6.1", "chunked and an empty line of codings", POST("Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n"),
      "400", LAST },
    { "9112 6.3", "chunked is not last in two lines",
      POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n") SMUGGLED, "400", LAST },
    { "9112 6.3", "chunked is not last", POST("Transfer-Encoding: chunked, gzip\r\n") SMUGGLED, "400", LAST },
    { "9112 6.3", "chunked is not there", POST("Transfer-Encoding: gzip\r\n"), "400", LAST },
    { "9112 7.1", "chunked twice", POST("Transfer-Encoding: chunked, chunked\r\n"), "400", LAST },
    { "9112 7.1", "chunked in two fields",
      POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), "400", LAST },
    { "9112 7", "identity", POST("Transfer-Encoding: identity\r\n"), "400", LAST },
    { "9112 7", "chunked with a parameter", POST("Transfer-Encoding: chunked;a=b\r\n"), "400", LAST },
    { "9112 6.1", "no coding", POST("Transfer-Encoding:\r\n"), "400", LAST },
    { "9112 6.1", "a comma in front", POST("Transfer-Encoding: ,chunked\r\n"), "400", LAST },
    { "9112 6.1", "a comma behind", POST("Transfer-Encoding: chunked,\r\n"), "400", LAST },
    { "9112 6.1", "a coding in quotes", POST("Transfer-Encoding: \"chunked\"\r\n"), "400", LAST },
    { "9112 7", "codings have no case", POST("Transfer-Encoding: CHUNKED\r\n") "0\r\n\r\n" NEXT, "200 200",
      MORE },

    /* chunks */
    { "9112 7.1", "chunks", CHUNKED "5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n" NEXT, "200 200", MORE },
    { "9112 7.1", "zeros before a size", CHUNKED "00005\r\nhello\r\n000\r\n\r\n" NEXT, "200 200", MORE },
    { "9112 7.1", "no size", CHUNKED "\r\nhello\r\n0\r\n\r\n", "400", LAST },
    { "9112 7.1", "a size that is none", CHUNKED "5g\r\nhello\r\n0\r\n\r\n" SMUGGLED, "400", LAST },
    { "9112 7.1", "a size with 0x", CHUNKED "0x5\r\nhello\r\n0\r\n\r\n", "400", LAST },
    { "9112 7.1", "a size with a blank before it", CHUNKED " 5\r\nhello\r\n0\r\n\r\n", "400", LAST },
    { "9112 7.1", "a size with a blank behind it", CHUNKED "5 \r\nhello\r\n0\r\n\r\n", "400", LAST },
    { "9112 7.1", "a size line that ends with LF", CHUNKED "5\nhello\r\n0\r\n\r\n", "400", LAST },
    { "9112 7.1", "a size line that ends with CR", CHUNKED "5\rhello\r\n0\r\n\r\n", "400", LAST },
    { "9112 7.1", "data that is longer", CHUNKED "5\r\nhelloo\r\n0\r\n\r\n" SMUGGLED, "400", LAST },
    { "9112 7.1", "data that ends with LF", CHUNKED "5\r\nhello\n0\r\n\r\n", "400", LAST },
    { "9112 7.1", "a size above 64 bits", CHUNKED "10000000000000005\r\nhello\r\n0\r\n\r\n", "413", LAST },
    { "9110 15.5.14", "a chunk above the limit", CHUNKED "3e9\r\n", "413", LAST },
    { "9112 7.1.1", "extensions", CHUNKED "5;a\r\nhello\r\n0 ; b = c;d=\"e\\\";\r\n\"\r\n\r\n" NEXT, "400",
      LAST },
    { "9112 7.1.1", "extensions of each form",
      CHUNKED "5;a;b=c\r\nhello\r\n5 ; b = c ;d=\"e\\\";\"\r\nhello\r\n0;z=\"\"\r\n\r\n" NEXT, "200 200",
      MORE },
    { "9112 7.1.1", "an extension without a name", CHUNKED "5;\r\nhello\r\n0\r\n\r\n", "400", LAST },
    { "9112 7.1.1", "an extension without a value", CHUNKED "5;a=\r\nhello\r\n0\r\n\r\n", "400", LAST },
    { "9112 7.1.1", "an extension with a bare LF", CHUNKED "5;a\nhello\r\n0\r\n\r\n", "400", LAST },
    { "9112 7.1.1", "an extension with a control byte", CHUNKED "5;a=\"\x01\"\r\nhello\r\n0\r\n\r\n", "400",
      LAST },
    { "9112 7.1.2", "trailers", CHUNKED "0\r\nA: b\r\nContent-Length: 9\r\n\r\n" NEXT, "200 200", MORE },
    { "9112 7.1.2", "a trailer without a colon", CHUNKED "0\r\nA\r\n\r\n", "400", LAST },
    { "9112 7.1.2", "a trailer with a space before the colon", CHUNKED "0\r\nA : b\r\n\r\n", "400", LAST },
    { "9112 7.1.2", "a folded trailer", CHUNKED "0\r\nA: b\r\n c\r\n\r\n", "400", LAST },
    { "9112 7.1.2", "trailers that end with LF", CHUNKED "0\r\n\n", "400", LAST },

    /* Expect */
    { "9110 10.1.1", "100-continue",
      POST("Expect: 100-continue\r\nContent-Length: 5\r\n") "hello" NEXT, "100 200 200", MORE },
    { "9110 10.1.1", "100-continue has no case",
      POST("Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\n", "100 200", MORE },
    { "9110 10.1.1", "100-continue twice",
      POST("Expect: 100-continue, 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n") "hello" NEXT,
      "100 200 200", MORE },
    { "9110 10.1.1", "an empty expectation", POST("Expect: ,\r\nContent-Length: 5\r\n") "hello" NEXT, "200 200", MORE },
    { "9110 10.1.1", "100-continue and another expectation",
      POST("Expect: 100-continue, miracles\r\nContent-Length: 5\r\n") "hello" NEXT, "417", LAST },
    { "9110 10.1.1", "100-continue for a file",
      "POST /a.txt HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n" "hello" SMUGGLED, "405", LAST },
    { "9110 10.1.1", "100-continue for a hidden file",
      "GET /folder/../%2ehidden HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", "404", LAST },
    { "9110 10.1.1", "100-continue for a bad path",
      "POST /%zz HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", "400", LAST },
    { "9110 10.1.1", "100-continue of an unknown method",
      "BREW /hello HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", "501", LAST },
    { "9110 10.1.1", "100-continue of OPTIONS *",
      "OPTIONS * HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n" "hello" NEXT, "100 204 200",
      MORE },
    { "9110 10.1.1", "100-continue without a body", POST("Expect: 100-continue\r\n") NEXT, "200 200", MORE },
    { "9110 10.1.1", "100-continue in HTTP/1.0",
      "POST /hello HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", "200", LAST },
    { "9110 10.1.1", "100-continue with a body that is too large",
      POST("Expect: 100-continue\r\nContent-Length: 5000\r\n"), "413", LAST },
    { "9110 10.1.1", "another expectation", POST("Expect: miracles\r\n") NEXT, "417 200", MORE },
    { "9110 10.1.1", "another expectation with a body",
      POST("Expect: miracles\r\nContent-Length: 5\r\n") "hello" NEXT, "417", LAST },

    /* connections */
    { "9112 9.6", "close", GET("/hello") "Connection: close\r\n\r\n" SMUGGLED, "200", LAST },
    { "9112 9.6", "close in a list", GET("/hello") "Connection: a, CLOSE ,b\r\n\r\n" SMUGGLED, "200", LAST },
    { "9112 9.6", "close in the second field",
      GET("/hello") "Connection: a\r\nConnection: ,,close\r\n\r\n" SMUGGLED, "200", LAST },
    { "9112 9.6", "close and keep-alive", GET("/hello") "Connection: keep-alive, close\r\n\r\n", "200",
      LAST },
    { "9112 9.3", "another option", GET("/hello") "Connection: closed\r\n\r\n" NEXT, "200 200", MORE },
    { "9112 9.3", "HTTP/1.0", "GET /hello HTTP/1.0\r\n\r\n" SMUGGLED, "200", LAST },
    { "9112 9.3", "HTTP/1.0 and keep-alive",
      "GET /hello HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n" NEXT, "200 200", MORE },
    { "9112 9.3.2", "many requests at once", NEXT "HEAD /a.txt HTTP/1.1\r\n" H "\r\n" GET("/none") "\r\n"
      POST("Content-Length: 3\r\n") "abc" GET("/a.txt") "\r\n" CHUNKED "1\r\na\r\n0\r\n\r\n"
      GET("/folder") "\r\n",
      "200 200h 404 200 200 200 301", MORE },

    /* paths */
    { "3986 2.1", "an escape", GET("/%61.txt") "\r\n", "200", MORE },
    { "3986 2.1", "a bad escape", GET("/%6") "\r\n", "400", LAST },
    { "3986 2.1", "an escape that is none", GET("/%zz") "\r\n", "400", LAST },
    { "3986 2.1", "NUL", GET("/a.txt%00") "\r\n", "400", LAST },
    { "3986 2.1", "an encoded line end", GET("/a%0d%0ab") "\r\n", "400", LAST },
    { "3986 2.1", "decoded once only", GET("/%2561.txt") "\r\n", "404", MORE },
    { "3986 5.2.4", "segments of dots", GET("/./folder/../a.txt") "\r\n", "200", MORE },
    { "3986 5.2.4", "above the root", GET("/../a.txt") "\r\n", "400", LAST },
    { "3986 5.2.4", "above the root, encoded", GET("/%2e%2E%2fa.txt") "\r\n", "400", LAST },
    { "3986 5.2.4", "above the root and back", GET("/folder/../../web/a.txt") "\r\n", "400", LAST },
    { "9110 15.5.5", "a slash behind a file", GET("/a.txt/") "\r\n", "404", MORE },
    { "9110 15.5.5", "a file beneath a file", GET("/a.txt/b") "\r\n", "404", MORE },
    { "9110 15.4.2", "a folder without its slash", GET("/folder") "\r\n", "301", MORE },
    { "9110 15.5.4", "a folder without an index", GET("/folder/") "\r\n", "403", MORE },
    { "9110 15.5.5", "a hidden file", GET("/.hidden") "\r\n", "404", MORE },
    { "9110 15.5.5", "a hidden file, encoded", GET("/%2ehidden") "\r\n", "404", MORE },
    { "9110 9.3.7", "OPTIONS", "OPTIONS /a.txt HTTP/1.1\r\n" H "\r\n" NEXT, "204 200", MORE },
    { "9110 9.3.8", "TRACE", "TRACE /hello HTTP/1.1\r\n" H "\r\n" NEXT, "405 200", MORE },
    { "9110 15.5.6", "DELETE", "DELETE /a.txt HTTP/1.1\r\n" H "\r\n" NEXT, "405 200", MORE },
};

static struct fixture f;

static void table_setup(void)
{
    fixture_init(&f);
    fixture_folder(&f, "folder");
    fixture_file(&f, "a.txt", "a file\n", 7);
    fixture_file(&f, ".hidden", "hidden\n", 7);
    struct http_route_spec routes[] = {
        { .path = "/", .kind = HTTP_ROUTE_ROOT, .root = f.root },
        { .path = "/hello", .kind = HTTP_ROUTE_RESPOND, .status = 200, .type = "text/plain",
          .body = SPAN("hello\n") },
        { .path = "/smuggled", .kind = HTTP_ROUTE_RESPOND, .status = 299, .body = SPAN("smuggled\n") },
    };
    fixture_site(&f, routes, sizeof routes / sizeof routes[0]);
}

static void table_teardown(void)
{
    fixture_free(&f);
}

enum { OUTPUT_MAX = 8192 };

static bool is_ending(void)
{
    return wire_over(&f.wire) || conn_ending(f.wire.conn);
}

/* "200 404h": the statuses of all replies in the output; 'h' means the request was HEAD. */
static void check_statuses(const struct http_case *t, struct span out)
{
    const char *want = t->statuses;
    struct reply r;
    while (*want != '\0') {
        char *end;
        unsigned status = (unsigned)strtoul(want, &end, 10);
        bool head = *end == 'h';
        ck_assert_msg(reply_take(&out, head, &r), "%s: no reply where %u is due", t->name, status);
        ck_assert_msg(r.status == status, "%s (RFC %s): %u instead of %u", t->name, t->section, r.status,
                      status);
        want = end + head;
        want += *want == ' ';
        bool last = *want == '\0' && t->then == LAST;
        struct span connection = reply_field(&r, "Connection");
        ck_assert_msg(last == span_equal(connection, SPAN("close")), "%s: Connection of %u", t->name, status);
    }
    ck_assert_msg(out.n == 0, "%s: more than %s", t->name, t->statuses);
    ck_assert_msg(is_ending() == (t->then == LAST), "%s: how the connection goes on", t->name);
}

static void run_case(struct span bytes, size_t first, size_t step)
{
    wire_close(&f.wire);
    wire_open(&f.wire, &f.service);
    if (step > 0)
        wire_send_steps(&f.wire, bytes, step);
    else
        wire_send_split(&f.wire, bytes, first);
}

/* However the bytes are cut, the output is the same as that of the whole. */
static void check_splits(const char *name, struct span bytes)
{
    static char whole[OUTPUT_MAX];
    struct span out = wire_output(&f.wire);
    struct span want = { whole, out.n };
    bool ending = is_ending();
    ck_assert_uint_le(out.n, sizeof whole);
    memcpy(whole, out.p, out.n);
    for (size_t i = 0; i <= bytes.n; i++) {
        run_case(bytes, i, i == 0 ? 1 : 0);
        ck_assert_msg(span_equal(wire_output(&f.wire), want) && is_ending() == ending,
                      "%s: cut at %zu (0: byte by byte) gives\n%.*sinstead of\n%.*s", name, i,
                      (int)wire_output(&f.wire).n, wire_output(&f.wire).p, (int)want.n, want.p);
    }
}

START_TEST(http_answers_each_case_of_the_table_however_it_is_cut)
{
    const struct http_case *t = &cases[_i];
    struct span bytes = span_of(t->bytes);
    wire_open(&f.wire, &f.service);
    wire_send(&f.wire, bytes);
    check_statuses(t, wire_output(&f.wire));
    check_splits(t->name, bytes);
}
END_TEST

#define BYTES(literal) { literal, sizeof(literal) - 1 }
static const struct { const char *name; struct span bytes; } with_nul[] = {
    { "NUL first", BYTES("\0GET /hello HTTP/1.1\r\n" H "\r\n") },
    { "NUL in the method", BYTES("GE\0T /hello HTTP/1.1\r\n" H "\r\n") },
    { "NUL in the target", BYTES("GET /he\0llo HTTP/1.1\r\n" H "\r\n") },
    { "NUL in the version", BYTES("GET /hello HTTP/\0.1\r\n" H "\r\n") },
    { "NUL in a name", BYTES(GET("/hello") "A\0: b\r\n\r\n") },
    { "NUL in a value", BYTES(GET("/hello") "A: \0\r\n\r\n") },
    { "NUL in an extension", BYTES(CHUNKED "5;a=\"\0\"\r\nhello\r\n0\r\n\r\n") },
    { "NUL in a trailer", BYTES(CHUNKED "0\r\nA: \0\r\n\r\n") },
};

START_TEST(http_refuses_a_nul_wherever_it_is)
{
    wire_open(&f.wire, &f.service);
    wire_send(&f.wire, with_nul[_i].bytes);
    check_statuses(&(struct http_case){ "9110 5.5", with_nul[_i].name, NULL, "400", LAST },
                   wire_output(&f.wire));
    check_splits(with_nul[_i].name, with_nul[_i].bytes);
}
END_TEST

/* One part of a request is `fill` bytes longer than the pattern, in which '@' says where. */
static struct span filled(const char *pattern, size_t fill)
{
    static char bytes[8192];
    const char *at = strchr(pattern, '@');
    size_t before = (size_t)(at - pattern), n = strlen(pattern) - 1;
    ck_assert_uint_lt(n + fill, sizeof bytes);
    memcpy(bytes, pattern, before);
    memset(bytes + before, 'x', fill);
    memcpy(bytes + before + fill, at + 1, n - before);
    return (struct span){ bytes, n + fill };
}

/* `most`: what `fill` may be at most, by the limits of the fixture. */
static const struct { const char *name, *pattern; size_t most; unsigned status; } edges[] = {
    { "request line", "GET /hello?@ HTTP/1.1\r\n" H "\r\n", 256 - 20, 414 },
    { "request line, cut off", "GET /hello?@", 256 + 2 - 11, 414 },
    { "method", "@ /hello HTTP/1.1\r\n" H "\r\n", 256 - 16, 414 },
    { "one field", GET("/hello") "A: @\r\n\r\n", 1024 - 9 - 5, 431 },
    { "one field, cut off", GET("/hello") "A: @", 1024 + 2 - 9 - 3, 431 },
    { "name of a field", GET("/hello") "@: b\r\n\r\n", 1024 - 9 - 5, 431 },
    { "trailer", CHUNKED "0\r\nA: @\r\n\r\n", 1024 - 5, 431 },
    { "chunk extension", CHUNKED "0;@\r\n\r\n", 1024 - 2, 400 },
};

START_TEST(http_limits_hold_at_their_exact_edge)
{
    size_t most = edges[_i].most;
    struct reply r;
    wire_open(&f.wire, &f.service);
    wire_send(&f.wire, filled(edges[_i].pattern, most));
    struct span out = wire_output(&f.wire);
    if (reply_take(&out, false, &r))
        ck_assert_msg(r.status == 200 || r.status == 501, "%s: %u within the limit", edges[_i].name,
                      r.status);
    check_splits(edges[_i].name, filled(edges[_i].pattern, most));

    run_case(filled(edges[_i].pattern, most + 1), 0, 0);
    out = wire_output(&f.wire);
    ck_assert_msg(reply_take(&out, false, &r), "%s: no reply above the limit", edges[_i].name);
    ck_assert_msg(r.status == edges[_i].status, "%s: %u above the limit", edges[_i].name, r.status);
    ck_assert(is_ending());
    check_splits(edges[_i].name, filled(edges[_i].pattern, most + 1));
}
END_TEST

static unsigned status_with_fields(unsigned count)
{
    char request[4096] = GET("/hello");
    struct reply r;
    for (unsigned i = 1; i < count; i++)
        strcat(request, "A: b\r\n");
    strcat(request, "\r\n");
    r = fixture_ask(&f, request);
    return r.status;
}

START_TEST(http_counts_field_lines)
{
    ck_assert_uint_eq(status_with_fields(16), 200);
    ck_assert_uint_eq(status_with_fields(17), 431);
}
END_TEST

START_TEST(http_takes_chunks_up_to_the_limit_in_all)
{
    char request[4096] = CHUNKED;
    for (int i = 0; i < 10; i++) {
        char chunk[128];
        snprintf(chunk, sizeof chunk, "64\r\n%0100d\r\n", i);
        strcat(request, chunk);
    }
    size_t n = strlen(request);
    strcpy(request + n, "0\r\n\r\n");
    ck_assert_uint_eq(fixture_ask(&f, request).status, 200);
    strcpy(request + n, "1\r\nx\r\n0\r\n\r\n");
    ck_assert_uint_eq(fixture_ask(&f, request).status, 413);
}
END_TEST

START_TEST(http_knows_a_method_that_never_ends_as_unknown)
{
    run_case(filled("@", 300), 0, 0);
    struct span out = wire_output(&f.wire);
    struct reply r;
    ck_assert(reply_take(&out, false, &r));
    ck_assert_uint_eq(r.status, 501);
    check_splits("a method without end", filled("@", 300));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("http");
    TCase *tc = tcase_create("table");
    tcase_add_checked_fixture(tc, table_setup, table_teardown);
    tcase_add_loop_test(tc, http_answers_each_case_of_the_table_however_it_is_cut, 0,
                        (int)(sizeof cases / sizeof cases[0]));
    tcase_add_loop_test(tc, http_refuses_a_nul_wherever_it_is, 0,
                        (int)(sizeof with_nul / sizeof with_nul[0]));
    tcase_add_loop_test(tc, http_limits_hold_at_their_exact_edge, 0, (int)(sizeof edges / sizeof edges[0]));
    tcase_add_test(tc, http_counts_field_lines);
    tcase_add_test(tc, http_takes_chunks_up_to_the_limit_in_all);
    tcase_add_test(tc, http_knows_a_method_that_never_ends_as_unknown);
    suite_add_tcase(s, tc);
    return run_suite(s);
}
