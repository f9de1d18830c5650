using System.Reflection;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Bamba.Onnx.Readme.Tests;

/// <summary>A C# program as a console project of its own would compile it.</summary>
internal static class CSharpProgram
{
    // What ImplicitUsings, on in every new console project, adds.
    private const string ImplicitUsings = """
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using System.Net.Http;
        global using System.Threading;
        global using System.Threading.Tasks;
        """;

    /// <summary>Compiles top-level statements against the framework and the library; warnings count as errors.</summary>
    public static Assembly Compile(string source)
    {
        var compilation = CSharpCompilation.Create(
            $"readme-{Guid.NewGuid():N}",
            [Parse(ImplicitUsings), Parse(source)],
            References(),
            new CSharpCompilationOptions(
                OutputKind.ConsoleApplication,
                nullableContextOptions: NullableContextOptions.Enable,
                generalDiagnosticOption: ReportDiagnostic.Error
            )
        );
        using var image = new MemoryStream();
        string[] problems =
        [
            .. compilation
                .Emit(image)
                .Diagnostics.Where(diagnostic => diagnostic.Severity == DiagnosticSeverity.Error)
                .Select(diagnostic => diagnostic.ToString()),
        ];
        Assert.True(problems.Length == 0, string.Join('\n', problems));
        return Assembly.Load(image.ToArray());
    }

    /// <summary>Runs a program in a folder.</summary>
    /// <returns>What it wrote.</returns>
    public static string Run(Assembly program, string folder)
    {
        string before = Environment.CurrentDirectory;
        TextWriter console = Console.Out;
        var output = new StringWriter();
        try
        {
            Environment.CurrentDirectory = folder;
            Console.SetOut(output);
            MethodInfo main = program.EntryPoint!;
            main.Invoke(null, main.GetParameters().Length == 0 ? null : [Array.Empty<string>()]);
        }
        finally
        {
            Console.SetOut(console);
            Environment.CurrentDirectory = before;
        }
        return output.ToString();
    }

    private static SyntaxTree Parse(string source) =>
        CSharpSyntaxTree.ParseText(source, new CSharpParseOptions(LanguageVersion.Latest));

    /// <summary>An application references the library and not the exporter.</summary>
    private static IEnumerable<MetadataReference> References() =>
        ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!)
            .Split(Path.PathSeparator)
            .Where(path =>
                Path.GetFileNameWithoutExtension(path) is var name
                && (
                    name.StartsWith("System.", StringComparison.Ordinal)
                    || name is "netstandard" or "Bamba.Onnx" or "Bamba.Onnx.Contract"
                )
            )
            .Select(path => MetadataReference.CreateFromFile(path));
}
