"""Access to AWS: accounts, clients, quotas, answers, errors. Knows no source and no metric."""
