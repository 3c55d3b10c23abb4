/* expr_parse: what the files that make a tree of an expression's text share; nobody else includes it.
 *
 *   expr_lex.c    tokens: words, numbers, pieces of strings
 *   expr_node.c   nodes: constants and what is computed from them, paths, lists of children
 *   expr_parse.c  the grammar
 *   expr_call.c   calls of functions
 *
 * A function that gives NULL or false ends the parse: either *ps->err is filled, or ps->unsupported is set and libjq has
 * to judge.  What takes nodes takes NULL for one that could not be made, and passes it on. */
#ifndef CDP_EXPR_PARSE_H
#define CDP_EXPR_PARSE_H

#include "lib/expr_impl.h"

struct cdp_parser {
    const char *p; /* the next byte of the text */
    unsigned nesting;
    bool unsupported;
    struct cdp_expr *e; /* its arena takes the tree */
    struct cdp_expr_scratch *s;
    struct cdp_err *err;
};

/* What `.` is: a path into the record, or the output of something computed; or a path that only evaluation can follow,
 * as it has an index from the end. */
struct cdp_scope {
    bool computed, path;
    struct cdp_step *step;
    size_t steps;
};

/* Leaves it to libjq: NULL. */
struct cdp_expr_node *cdp_parse_unsupported(struct cdp_parser *ps);

/* A whole expression, up to what cannot be a part of it. */
struct cdp_expr_node *cdp_parse_pipe(struct cdp_parser *ps, struct cdp_scope in);

/* A function's call; ps->p is at its name, len bytes long. */
struct cdp_expr_node *cdp_parse_call(struct cdp_parser *ps, struct cdp_scope in, size_t len);

/* --- tokens; ps->p is left behind what is taken */

static inline bool cdp_lex_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static inline bool cdp_lex_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The length of the word at p, 0 where there is none; is it that one? */
size_t cdp_lex_word(const char *p);
bool cdp_lex_is(const char *p, size_t len, const char *word);
/* A word of jq's grammar, which cannot name a function. */
bool cdp_lex_reserved(const char *p, size_t len);
/* Behind blanks and comments. */
const char *cdp_lex_skip(const char *p);

/* Goes to the next token and returns its first byte. */
char cdp_lex_peek(struct cdp_parser *ps);
/* The length of the word that is the next token; 0 for none, or one that names a module. */
size_t cdp_lex_name(struct cdp_parser *ps);
/* Takes the next token where it is that one. */
bool cdp_lex_take(struct cdp_parser *ps, char c);
bool cdp_lex_take_word(struct cdp_parser *ps, const char *word);
/* The same, and anything else is unsupported. */
bool cdp_lex_expect(struct cdp_parser *ps, char c);
bool cdp_lex_expect_word(struct cdp_parser *ps, const char *word);

/* The number at ps->p: *text is JSON, in ps->s->out or the input. */
bool cdp_lex_number(struct cdp_parser *ps, const char **text, size_t *len);
/* What is inside a string literal from ps->p to its end or the next `\(`, where ps->p is left; decoded in ps->s->b1. */
bool cdp_lex_string(struct cdp_parser *ps);

/* --- nodes */

struct cdp_expr_node *cdp_node_leaf(struct cdp_parser *ps, enum cdp_expr_op op);
/* Where the operator can be computed, as its operands are constants, its value.  fn is what op says of it, or 0. */
struct cdp_expr_node *cdp_node_unary(struct cdp_parser *ps, enum cdp_expr_op op, int fn,
                                     struct cdp_expr_node *a);
struct cdp_expr_node *cdp_node_binary(struct cdp_parser *ps, enum cdp_expr_op op, int fn,
                                      struct cdp_expr_node *a, struct cdp_expr_node *b);
struct cdp_expr_node *cdp_node_if(struct cdp_parser *ps, struct cdp_expr_node *a, struct cdp_expr_node *b,
                                  struct cdp_expr_node *c);

/* Text copied into the tree's arena, a NUL behind it. */
char *cdp_node_keep(struct cdp_parser *ps, const char *p, size_t len);
/* Raw JSON, copied; decoded bytes as a string. */
struct cdp_expr_node *cdp_node_constant(struct cdp_parser *ps, const char *raw, size_t len);
struct cdp_expr_node *cdp_node_string(struct cdp_parser *ps, const char *p, size_t len);
bool cdp_node_is_string(const struct cdp_expr_node *n);
/* A string constant, decoded and kept. */
char *cdp_node_decoded(struct cdp_parser *ps, const struct cdp_expr_node *k, size_t *len);

/* Adds a child to an array, a join, or an object, whose key is a string constant and new to it. */
bool cdp_node_add(struct cdp_parser *ps, struct cdp_expr_node *list, struct cdp_expr_node *kid);
bool cdp_node_add_member(struct cdp_parser *ps, struct cdp_expr_node *object, const struct cdp_expr_node *key,
                         struct cdp_expr_node *kid);

/* `.` */
struct cdp_expr_node *cdp_node_dot(struct cdp_parser *ps, struct cdp_scope in);
/* The step that a constant, a string or an index, takes in n: n itself, made longer, where it is a path and the index
 * does not count from the end. */
struct cdp_expr_node *cdp_node_index(struct cdp_parser *ps, struct cdp_expr_node *n,
                                     const struct cdp_expr_node *k);
/* n | has(k) */
struct cdp_expr_node *cdp_node_has(struct cdp_parser *ps, struct cdp_expr_node *n,
                                   const struct cdp_expr_node *k);

/* a | b, b having been parsed in the scope behind a. */
struct cdp_scope cdp_node_behind(struct cdp_scope in, const struct cdp_expr_node *a);
struct cdp_expr_node *cdp_node_piped(struct cdp_parser *ps, struct cdp_expr_node *a, struct cdp_expr_node *b);

#endif
