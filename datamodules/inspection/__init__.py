"""Images of parts with complete labels or an operator's answers: labels, feedback store and page, demo surfaces."""
