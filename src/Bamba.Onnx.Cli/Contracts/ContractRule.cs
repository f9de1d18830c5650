namespace Bamba.Onnx.Cli.Contracts;

/// <summary>What a host needs of a model folder, and how to see by the files alone whether it is so.</summary>
/// <param name="Id">Its name: a graph's profile or a subject, then what of it.</param>
/// <param name="Hosts">Those that fail, or give wrong results, where it is broken.</param>
/// <param name="Requirement">What must be, in a line.</param>
/// <param name="Inapplicable">Why it says nothing of a folder; null where it does.</param>
/// <param name="Find">Everything in a folder that breaks it.</param>
internal sealed record ContractRule(
    string Id,
    ContractHost Hosts,
    string Requirement,
    Func<ContractFolder, string?> Inapplicable,
    Func<ContractFolder, IEnumerable<ContractFinding>> Find
)
{
    /// <summary>Holds a folder against it.</summary>
    public ContractResult Check(ContractFolder folder)
    {
        string? skipped = Inapplicable(folder);
        IReadOnlyList<ContractFinding> findings = skipped is null ? [.. Find(folder)] : [];
        return new ContractResult(Id, Hosts.Names(), Requirement, findings.Count == 0, skipped, findings);
    }
}

/// <summary>Something that breaks a rule.</summary>
/// <param name="Where">A file of the folder, and where it helps a place in it.</param>
/// <param name="Expected">What should be there.</param>
/// <param name="Found">What is there.</param>
internal sealed record ContractFinding(string Where, string Expected, string Found);

/// <summary>A rule's verdict of a folder.</summary>
/// <param name="Id">The rule.</param>
/// <param name="Hosts">The hosts that it protects.</param>
/// <param name="Requirement">What it asks.</param>
/// <param name="Passed">Whether nothing breaks it; a rule that says nothing of the folder is not broken.</param>
/// <param name="Skipped">Why it says nothing of the folder.</param>
/// <param name="Findings">What breaks it.</param>
internal sealed record ContractResult(
    string Id,
    IReadOnlyList<string> Hosts,
    string Requirement,
    bool Passed,
    string? Skipped,
    IReadOnlyList<ContractFinding> Findings
);
