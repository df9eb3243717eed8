"""A question, one key, an answer that is never lost: the page and what its servers share."""
